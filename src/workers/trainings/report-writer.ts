import { RunSupersededError } from '../../base/index.js'
import { type CurvePoint, RecordLostError, type TrainingRecord } from '../../queue/index.js'
import { levelOf } from '../../queue/redis-basics/index.js'
import type { TrainingRun } from './training-run.js'

/** Name of the fact that holds the host whose disk has the best model. */
export const BEST_HOST = 'bestHost'
const BATCH = 500
/** Twice what a curve keeps. */
const MAX_HELD = 4000
/** A worker that is asked to end must be gone after nine seconds, also without Redis. */
const GIVE_UP_MS = 1000

/**
 * Writes what a training program reports to Redis while its next events are read: points of curves in order, all that
 * wait together, and of best models only the newest. An outage of Redis thus delays no event, and leaves no backlog.
 */
export type ReportWriter = {
  point(point: CurvePoint): void
  best(best: NonNullable<TrainingRecord['best']>): void
  /** Resolves, never rejects, when all is written, or a moment after the end of the run. */
  flush(): Promise<void>
}

export function createReportWriter(
  training: Pick<TrainingRun, 'update' | 'addPoints' | 'checkFence' | 'stopSwitch' | 'hostId' | 'log'>,
  { giveUpMs = GIVE_UP_MS }: { readonly giveUpMs?: number } = {},
): ReportWriter {
  const { stopSwitch, log } = training
  let points: CurvePoint[] = []
  let newest: TrainingRecord['best'] = null
  let writing: Promise<void> | undefined

  async function writeAll(): Promise<void> {
    while (points.length > 0 || newest !== null) {
      const best = newest
      newest = null
      await noteUnlessSuperseded(best)
      const batch = points.splice(0, isSuperseded() ? points.length : BATCH)
      if (batch.length > 0 && !isSuperseded()) await training.addPoints(batch)
    }
    writing = undefined
  }

  // Of all that can go wrong with the record only a newer run ends the program.
  async function noteUnlessSuperseded(best: TrainingRecord['best']): Promise<void> {
    try {
      await (best === null ? training.checkFence() : training.update({ best, facts: { [BEST_HOST]: training.hostId } }))
    } catch (error) {
      if (error instanceof RunSupersededError) return stopSwitch.end(error)
      const level = error instanceof RecordLostError ? 'debug' : levelOf(error) // that is reported once, and stays in status
      log[level]({ err: error }, best === null ? 'run not checked' : 'best model not recorded')
    }
  }

  const isSuperseded = () => stopSwitch.endSignal.reason instanceof RunSupersededError

  function write(): void {
    writing ??= writeAll()
  }

  return {
    point(point) {
      points.push(point)
      // As the curve does when it is full: every other one goes.
      if (points.length > MAX_HELD) points = points.filter((_, index) => index % 2 === 0)
      write()
    },
    best(best) {
      newest = best
      write()
    },
    async flush() {
      const done = new AbortController()
      await Promise.race([writing, tooLongAfter(stopSwitch.endSignal, giveUpMs, done.signal)])
      done.abort()
    },
  }
}

/** Resolves so long after the end, and lets go when it is done. */
function tooLongAfter(end: AbortSignal, ms: number, done: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const begin = () => {
      const timer = setTimeout(resolve, ms)
      done.addEventListener('abort', () => clearTimeout(timer), { once: true })
    }
    if (end.aborted) begin()
    else end.addEventListener('abort', begin, { once: true, signal: done })
  })
}
