import { createHash } from 'node:crypto'
import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { type MetricsJob, type Queues, queueNames } from '../../queue/index.js'
import { levelOf } from '../../queue/redis-basics/index.js'
import type { ConfirmedPoint } from './confirmed-point.js'
import { hasFiles, type ModelSet, type ModelSets } from './model-sets.js'

/**
 * Sends one point of metrics per model to the Loop, in order and at least once: each is a job on the queue of the seat, whose
 * node has the socket. The training never waits for it. The Loop assigns the uploaded model to the newest point, so the point
 * of a model without files is sent only before that of a later model with files.
 */
export type MetricsSync = {
  /** Sends the point of a new set, with all that wait, in the background; failures are thrown by `flush`. */
  push(set: ModelSet): void
  /** Sends all points that are not acked, also those from before a crash; one empty point if there was no model. */
  flush(signal: AbortSignal): Promise<Flushed>
}

/** Number of points at the Loop, and of those that were not sent since no model with files came after them. */
type Flushed = { readonly points: number; readonly keptBack: number }

export type MetricsSyncOptions = Pick<MetricsJob, 'trainingId' | 'run' | 'seat' | 'organization' | 'project'> & {
  readonly point: () => Promise<Pick<MetricsJob['point'], 'trainImageCount' | 'testImageCount' | 'hyperparameters'>>
}
export type MetricsSyncDeps = {
  readonly queues: Pick<Queues, 'runJob'>
  readonly modelSets: ModelSets
  /** The last acked point according to the record: a set that another host has restored may not have it. */
  readonly confirmed: ConfirmedPoint
  readonly signal: AbortSignal
  readonly log: Logger
}

export function createMetricsSync(options: MetricsSyncOptions, deps: MetricsSyncDeps): MetricsSync {
  const { point, ...address } = options
  let last: Promise<void> = Promise.resolve()
  let isQueued = false
  let reported: string | undefined

  async function send(
    set: Pick<ModelSet, 'sequence' | 'epoch' | 'confusionMatrix'>,
    about: About,
    signal: AbortSignal,
  ) {
    const { sequence, epoch, confusionMatrix } = set
    const job: MetricsJob = { ...address, sequence, point: { ...about, epoch, confusionMatrix } }
    const id = `${address.trainingId}.${address.run}.metrics.${sequence}`
    await deps.queues.runJob(queueNames.node(address.seat.uuid), 'sync-metrics', job, { id, signal })
  }

  // Points are sent in order, so those before the last acked one are at the Loop too.
  async function sendAll(sets: readonly ModelSet[], signal: AbortSignal): Promise<void> {
    if (sets.length === 0) return
    const [acked, about] = await Promise.all([deps.confirmed.read(), point()])
    const lastAcked = sets.findIndex((set) => digestOf(set) === acked)
    for (const [index, set] of sets.entries()) {
      if (index > lastAcked) {
        await send(set, about, signal)
        await deps.confirmed.write(digestOf(set))
      }
      await deps.modelSets.markSynced(set)
    }
  }

  // With earlier points that were not acked, as after a kill or an outage.
  async function sendWaiting(): Promise<void> {
    isQueued = false // a set that is pushed from now on needs another call
    await sendAll(notSynced(upToFiles(await deps.modelSets.list())), deps.signal)
  }

  // Each cause is logged once: during an outage every further point fails with it.
  function report(error: unknown, { sequence }: ModelSet): void {
    const reason = messageOf(error)
    if (deps.signal.aborted || reason === reported) return
    reported = reason
    deps.log[levelOf(error)]({ err: error, sequence }, 'metrics not synced yet')
  }

  return {
    push(set) {
      if (!hasFiles(set) || isQueued) return
      isQueued = true
      last = last.then(sendWaiting).then(
        () => {
          reported = undefined
        },
        (error: unknown) => report(error, set),
      )
    },
    async flush(signal) {
      await last
      const all = await deps.modelSets.list()
      const sets = upToFiles(all)
      await sendAll(notSynced(sets), signal)
      if (sets.length === 0) await send({ sequence: 0, epoch: null, confusionMatrix: {} }, await point(), signal)
      return { points: sets.at(-1)?.sequence ?? 0, keptBack: all.length - sets.length }
    },
  }
}

type About = Awaited<ReturnType<MetricsSyncOptions['point']>>

/** The sets up to the last one with files. */
function upToFiles(sets: readonly ModelSet[]): ModelSet[] {
  return sets.slice(0, sets.findLastIndex(hasFiles) + 1)
}

function notSynced(sets: readonly ModelSet[]): ModelSet[] {
  return sets.filter(({ synced }) => !synced)
}

function digestOf({ sequence, epoch, confusionMatrix }: ModelSet): string {
  return createHash('sha256')
    .update(JSON.stringify([sequence, epoch, confusionMatrix]))
    .digest('hex')
}
