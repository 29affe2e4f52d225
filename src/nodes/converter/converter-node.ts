import { randomUUID } from 'node:crypto'
import type { Closers, Service } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { LoopRest } from '../../loop/client/index.js'
import type { LoopSocket } from '../../loop/client/socket/index.js'
import {
  type Conversions,
  type Fleet,
  type Queues,
  queueNames,
  type ScanJob,
  scanJobSchema,
} from '../../queue/index.js'
import { createLoopNode, type LoopNode, type NodeIdentity } from '../index.js'
import { type ConverterProfile, type ScanResult, scanModels } from './scan.js'

export type ConverterNodeOptions = {
  readonly identity: NodeIdentity
  /** Machine and data folder: another owner of the same uuid is refused, a restart of this one is not. */
  readonly owner?: string
  readonly profile: ConverterProfile
  /** How often the Loop is scanned for models. */
  readonly everyMs?: number
}

export type ConverterNodeDeps = {
  readonly createSocket: () => LoopSocket
  readonly rest: Pick<LoopRest, 'projects' | 'modelsOf'>
  readonly queues: Queues
  readonly conversions: Conversions
  readonly fleet: Fleet
  readonly log: Logger
}

/** A converter node: scans the Loop for models to convert; workers of the fleet convert them. */
export type ConverterNode = Service &
  Pick<LoopNode, 'setOnline' | 'whenConnected' | 'whyNotReady' | 'over'> & {
    /** False ends the scans until it is set true again. */
    setChecking(checking: boolean): void
    /** Scans the Loop now and waits until the conversions that it found have ended, in any outcome. */
    step(options?: { readonly signal?: AbortSignal }): Promise<ScanResult>
    /** Whether a scan or a conversion of its converter waits or runs. */
    isBusy(): Promise<boolean>
  }

const EVERY_MS = 60_000
const KEEP_SCANS = 20

export function createConverterNode(options: ConverterNodeOptions, deps: ConverterNodeDeps): ConverterNode {
  const { profile, everyMs = EVERY_MS } = options
  const { queues, conversions } = deps
  const log = deps.log.child({ component: 'converter-node', converter: profile.name })
  const scans = queueNames.scans(profile.name)
  /** Projects whose scan is requested and has not begun. */
  const requested = new Set<string>()
  let isChecking = true
  const announcement = () => ({ type: 'converter' as const, converter: profile.name })
  const node = createLoopNode(options, { open, announcement }, { ...deps, log })

  async function scan(job: ScanJob, signal: AbortSignal): Promise<ScanResult> {
    requested.delete(keyOf(job))
    const result = await scanModels(profile, job, { ...deps, log, signal })
    await conversions.trim()
    const counts = { planned: result.planned.length, failed: result.failed, skipped: result.skipped.length }
    if (counts.planned > 0) log.info(counts, 'conversions planned')
    else log.debug(counts, 'Loop scanned')
    return result
  }

  async function requestScan(job: ScanJob): Promise<void> {
    if (requested.has(keyOf(job))) return
    requested.add(keyOf(job))
    // Three attempts are enough: the scheduled scan finds the models too.
    await queues.add(scans, 'scan', job, { id: `at-once-${randomUUID()}`, attempts: 3, keep: KEEP_SCANS })
  }

  async function open(_signal: AbortSignal, closers: Closers): Promise<void> {
    await conversions.migrate(queues)
    const handle = async (job: { readonly data: ScanJob }, aborted: AbortSignal) =>
      isChecking ? await scan(job.data, aborted) : { muted: true }
    const consumer = queues.consume(scans, handle, { schema: scanJobSchema, concurrency: 1 })
    closers.add('scans', () => consumer.close({ cancel: new Error('The converter node ends.') }))
    const uploads = await conversions.onUpload(({ organization, project, format }) => {
      if (format !== profile.sourceFormat) return
      requestScan({ project: { organization, project } }).catch((error: unknown) =>
        log.debug({ err: error }, 'scan not requested'),
      )
    })
    closers.add('uploads', () => uploads.close())
    const options = { id: 'schedule', everyMs, attempts: 1, keep: KEEP_SCANS }
    const stopWatching = await queues.repeat(scans, 'scan', ALL_PROJECTS, options)
    closers.add('schedule', async () => stopWatching())
    await requestScan(ALL_PROJECTS)
    log.info({ from: profile.sourceFormat, to: profile.targets.map(({ format }) => format) }, 'scans scheduled')
  }

  return {
    ...node,
    setChecking(checking) {
      isChecking = checking
    },
    async step({ signal } = {}) {
      const result = await scan(ALL_PROJECTS, signal ?? new AbortController().signal)
      await conversions.untilEnded(result.unfinished, { signal: signal ?? node.signal })
      return result
    },
    async isBusy() {
      const [scanning, isConverting] = await Promise.all([queues.counts(scans), conversions.isBusy(profile.name)])
      return (scanning.active ?? 0) + (scanning.waiting ?? 0) > 0 || isConverting
    },
  }
}

const ALL_PROJECTS: ScanJob = { project: null }

function keyOf({ project }: ScanJob): string {
  return project === null ? '*' : `${project.organization}/${project.project}`
}
