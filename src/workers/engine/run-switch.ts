import {
  RunSupersededError,
  TrainingAbortedError,
  TrainingStoppedError,
  WorkerShutdownError,
} from '../../base/index.js'
import type { Claim, Intent, Renewal } from '../../queue/index.js'

/**
 * All that may end a program; docs/architecture.md ("Who may end a program") has the same rows. The first four end it through a
 * run switch, the others where the program is supervised. Redis, the Loop, clean-up and a full log are not among them.
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

/** How a run learns that it has to end: the reason on the signal says what becomes of its record. */
export type RunSwitch = {
  /** The program ends now: TrainingAbortedError, WorkerShutdownError or RunSupersededError. */
  readonly signal: AbortSignal
  /** The program is asked to end politely, and the run goes on with what it has made: TrainingStoppedError. */
  readonly stopSignal: AbortSignal
  /** Calls the listener for each further stop; returns a function that removes it. */
  onStopAgain(listener: () => void): () => void
  /** Calls when Redis has this claim again after it had lost it, with all that was written since; returns what ends that. */
  onRestored(listener: () => void): () => void
  /** The worker ends, also if the run was ended before: what follows an end has to be brief. */
  readonly shutdownSignal: AbortSignal
  obey(intent: Intent | null): void
  /** What a renewal has found. Only a newer run ends a program: a record that is lost, or was regained, does not. */
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
