import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { type LoopRest, runBounded } from '../../loop/client/index.js'
import { isLoopId, type ModelEntry, type ProjectEntry } from '../../loop/protocol/index.js'
import { type ConversionOrder, type Conversions, conversionIdOf, type ScanJob } from '../../queue/index.js'

/** What a converter node must know of its converter; made from its definition by the command that starts the node. */
export type ConverterProfile = {
  /** The queue is `conversions.<name>`. */
  readonly name: string
  readonly sourceFormat: string
  readonly targets: readonly {
    readonly format: string
    /** Fingerprint of the definition by which it is made. */
    readonly definition: string
  }[]
}

export type ScanDeps = {
  readonly rest: Pick<LoopRest, 'projects' | 'modelsOf'>
  readonly conversions: Pick<Conversions, 'now' | 'plan'>
  readonly log: Logger
  readonly signal: AbortSignal
}

export type ScanResult = {
  readonly projects: number
  readonly models: number
  /** Ids of the conversions that this scan has added. */
  readonly planned: readonly string[]
  /** Ids of all conversions that wait or run now. */
  readonly unfinished: readonly string[]
  /** Number of conversions that have failed with the same definition and are not repeated. */
  readonly failed: number
  /** Projects that could not be read. */
  readonly skipped: readonly string[]
}

/** Plans that are sent to Redis together, which is faster than one after the other. */
const PLANS_IN_PARALLEL = 16

/**
 * Finds models at the Loop that have the source format and lack a target format, and plans their conversions. A project
 * that cannot be read is skipped; without the list of projects the scan fails.
 */
export async function scanModels(profile: ConverterProfile, job: ScanJob, deps: ScanDeps): Promise<ScanResult> {
  const { signal } = deps
  const projects = await deps.rest.projects({ signal })
  const wanted = projects.filter((project) => isWanted(project, job))
  const skipped: string[] = []
  const counts = { planned: [] as string[], unfinished: [] as string[], failed: 0, models: 0 }
  for (const project of wanted) {
    const name = `${project.organization_id}/${project.project_id}`
    try {
      if (!isLoopId(project.organization_id) || !isLoopId(project.project_id)) throw new Error('its id is not usable')
      await scanProject(project)
    } catch (error) {
      signal.throwIfAborted()
      skipped.push(name)
      deps.log.warn({ project: name, reason: messageOf(error) }, 'project skipped')
    }
  }
  return { projects: wanted.length, ...counts, skipped }

  async function scanProject(project: ProjectEntry): Promise<void> {
    const readAt = await deps.conversions.now()
    const models = await deps.rest.modelsOf(project.resource, { signal })
    counts.models += models.length
    const orders = models.flatMap((model) => ordersFor(profile, project, model))
    await runBounded(orders, (order) => plan(order, readAt), { atOnce: PLANS_IN_PARALLEL, signal })
  }

  async function plan({ definition, ...order }: PlannedOrder, readAt: number): Promise<void> {
    const outcome = await deps.conversions.plan(order, { definition, readAt })
    const id = conversionIdOf(order)
    if (outcome === 'failed') counts.failed += 1
    if (outcome === 'planned' || outcome === 'again') counts.planned.push(id)
    if (outcome !== 'failed' && outcome !== 'converted') counts.unfinished.push(id)
  }
}

type PlannedOrder = ConversionOrder & { readonly definition: string }

function isWanted(project: ProjectEntry, { project: only }: ScanJob): boolean {
  return only === null || (project.organization_id === only.organization && project.project_id === only.project)
}

/** The missing formats of a model; none for a model without a version, which is not published. */
function ordersFor(profile: ConverterProfile, project: ProjectEntry, model: ModelEntry): PlannedOrder[] {
  const { version, formats } = model
  if (version === null || version === '' || !formats.includes(profile.sourceFormat)) return []
  return profile.targets
    .filter(({ format }) => !formats.includes(format))
    .map(({ format, definition }) => ({
      converter: profile.name,
      organization: project.organization_id,
      project: project.project_id,
      resource: project.resource,
      modelId: model.id,
      modelVersion: version,
      sourceFormat: profile.sourceFormat,
      targetFormat: format,
      definition,
    }))
}
