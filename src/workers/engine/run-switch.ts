import {
  RunSupersededError,
  TrainingAbortedError,
  TrainingStoppedError,
  WorkerShutdownError,
} from '../../base/index.js'
import type { Claim, Intent, Renewal } from '../../queue/index.js'

/**
 * The only causes that may end a program; docs/architecture.md ("Who may end a program") has the same rows. The first four end
 * it through a run switch, the others where the program is supervised. An outage of Redis or the Loop is not among them.
 * @internal since a test compares it with the table in that page.
 */
export const whoMayEnd = [
  'stop',
  'abort',
  'shutdown of the worker',
  'a newer run',
  'the guard whose worker is dead',
  'the sign-of-life limit',
  'a drain deadline',
  'a resume that is judged unusable',
] as const

/** The signals by which a run learns that it has to end. The reason decides what happens to the record. */
export type RunSwitch = {
  /** Aborted when the program has to end now: TrainingAbortedError, WorkerShutdownError or RunSupersededError. */
  readonly signal: AbortSignal
  /** Aborted when the program is asked to end and the run continues with its model: TrainingStoppedError. */
  readonly stopSignal: AbortSignal
  /** Calls the listener for each further stop; returns a function that removes it. */
  onStopAgain(listener: () => void): () => void
  /** Calls the listener when a renewal has restored a claim that Redis had lost, and with it later writes; returns a function that removes it. */
  onRestored(listener: () => void): () => void
  /** Aborted when the worker shuts down, also after the run was ended: the clean-up has to be short then. */
  readonly shutdownSignal: AbortSignal
  obey(intent: Intent | null): void
  /** Handles the outcome of a renewal. Only a newer run ends the program; a lost or regained record does not. */
  onRenewed(renewal: Renewal): void
  shutDown(): void
}

export function createRunSwitch({ id, run }: Pick<Claim, 'id' | 'run'>): RunSwitch {
  const end = new AbortController()
  const stop = new AbortController()
  const shutdown = new AbortController()
  const listeners = new Set<() => void>()
  const restored = new Set<() => void>()
  let obeyedMark: string | undefined

  function obey(intent: Intent | null): void {
    if (intent?.kind === 'abort') end.abort(new TrainingAbortedError())
    if (intent?.kind !== 'stop' || intent.mark === obeyedMark) return
    obeyedMark = intent.mark
    if (stop.signal.aborted) for (const listener of listeners) listener()
    else stop.abort(new TrainingStoppedError())
  }

  return {
    signal: end.signal,
    stopSignal: stop.signal,
    shutdownSignal: shutdown.signal,
    onStopAgain(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    onRestored(listener) {
      restored.add(listener)
      return () => restored.delete(listener)
    },
    obey,
    onRenewed({ outcome, intent }) {
      switch (outcome) {
        case 'superseded':
        case 'ended':
          return end.abort(new RunSupersededError({ trainingId: id, run }))
        case 'restored':
          for (const listener of restored) listener()
          return obey(intent)
        case 'held':
        case 'regained':
        case 'lost':
          return obey(intent)
        default:
          return outcome satisfies never
      }
    },
    shutDown() {
      const reason = new WorkerShutdownError()
      end.abort(reason)
      shutdown.abort(reason)
    },
  }
}
