import { RunSupersededError } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { RecordLostError, type Renewal } from '../../queue/index.js'
import { levelOf } from '../../queue/redis-basics/index.js'
import type { ActiveRun } from './pipeline.js'

/** The runs of this host, from their claim to their end. */
export type Runs = {
  readonly active: readonly ActiveRun[]
  begin(run: ActiveRun): void
  onRenewed(renewals: readonly Renewal[]): void
  /** The intent of this record has changed: a stop or an abort was requested. */
  readIntent(id: string): void
  /** Asks all runs to end, because the worker shuts down. */
  shutDown(): void
  /** Resolves when all runs have ended. */
  ended(): Promise<unknown>
}

/** Pause of a record whose run failed unexpectedly. */
const UNEXPECTED_FAILURE_PAUSE_MS = 5_000

export function createRuns({ onEnd, log }: { readonly onEnd: () => void; readonly log: Logger }): Runs {
  const runs = new Map<string, ActiveRun>()
  const working = new Set<Promise<void>>()

  function begin(run: ActiveRun): void {
    runs.set(run.claim.id, run)
    const ended = carryOut(run, log).finally(() => {
      runs.delete(run.claim.id)
      working.delete(ended)
      onEnd()
    })
    working.add(ended)
  }

  function onRenewed(renewals: readonly Renewal[]): void {
    for (const renewal of renewals) {
      const run = runs.get(renewal.id)
      if (run === undefined || run.isSettling) continue
      const { outcome } = renewal
      const facts = { id: renewal.id, run: run.claim.run, outcome }
      if (outcome === 'regained' || outcome === 'restored') log.info(facts, 'record is ours again')
      if (outcome === 'superseded') log.warn(facts, 'another run has begun; this one ends')
      run.control.onRenewed(renewal)
    }
  }

  async function readIntentOf({ intent, control, claim }: ActiveRun): Promise<void> {
    try {
      control.obey(await intent())
    } catch (error) {
      log.debug({ err: error, id: claim.id }, 'intent not read; the next renewal brings it')
    }
  }

  return {
    get active() {
      return [...runs.values()]
    },
    begin,
    onRenewed,
    readIntent(id) {
      const run = runs.get(id)
      if (run !== undefined) void readIntentOf(run)
    },
    shutDown() {
      for (const { control } of runs.values()) control.shutDown()
    },
    ended: () => Promise.all(working),
  }
}

async function carryOut(run: ActiveRun, log: Logger): Promise<void> {
  const facts = { id: run.claim.id, run: run.claim.run }
  try {
    await run.carryOut()
    await run.giveUp(0)
  } catch (error) {
    await leave(run, error, log).catch((failure: unknown) => {
      log.error({ err: failure, ...facts }, 'run not settled; its record waits again when its lease has expired')
    })
  }
}

async function leave(run: ActiveRun, error: unknown, log: Logger): Promise<void> {
  const facts = { id: run.claim.id, run: run.claim.run }
  if (error instanceof RunSupersededError) return log.warn(facts, 'run left to a newer one')
  // Without its record the run cannot be settled.
  if (error instanceof RecordLostError) return log.error({ err: error, ...facts }, 'run left without its record')
  if (levelOf(error) === 'debug') return log.debug({ err: error, ...facts }, 'run left with the connection to Redis')
  log.error({ err: error, ...facts }, 'run failed unexpectedly')
  await run.giveUp(UNEXPECTED_FAILURE_PAUSE_MS)
}
