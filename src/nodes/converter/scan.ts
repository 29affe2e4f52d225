import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { type LoopRest, runBounded } from '../../loop/client/index.js'
import { isLoopId, type ModelEntry, type ProjectEntry } from '../../loop/protocol/index.js'
import { type ConversionOrder, type Conversions, conversionIdOf, type ScanJob } from '../../queue/index.js'

/** What a converter node must know of its converter; made from its definition by whoever starts the node. */
export type ConverterProfile = {
  /** The queue is `conversions.<name>`. */
  readonly name: string
  readonly sourceFormat: string
  readonly targets: readonly {
    readonly format: string
    /** Fingerprint of how it is made. */
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
  /** Ids of the conversions that are new work. */
  readonly planned: readonly string[]
  /** Ids of all that wait or run now. */
  readonly unfinished: readonly string[]
  /** How many failed before, by the same definition, and are left alone. */
  readonly failed: number
  /** Projects that could not be looked at. */
  readonly skipped: readonly string[]
}

/** Each is a few questions to Redis, which answers those that come together faster. */
const PLANNED_AT_ONCE = 16

/**
 * Looks at the Loop for models that have the source format and lack a target format, and plans their conversions. A
 * project that fails is skipped; without the list of projects the scan fails.
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
    const lookedAt = await deps.conversions.now()
    const models = await deps.rest.modelsOf(project.resource, { signal })
    counts.models += models.length
    const orders = models.flatMap((model) => ordersFor(profile, project, model))
    await runBounded(orders, (order) => plan(order, lookedAt), { atOnce: PLANNED_AT_ONCE, signal })
  }

  async function plan({ definition, ...order }: PlannedOrder, lookedAt: number): Promise<void> {
    const outcome = await deps.conversions.plan(order, { definition, lookedAt })
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

/** A model without a version is not published; one that has the format needs nothing. */
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
