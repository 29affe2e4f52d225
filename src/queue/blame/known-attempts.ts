import type { RecordKind } from '../records/record-schema.js'
import type { FailureCause, PlaceGpu } from './attempt.js'

/** What became of a program on a host. It has worked when it has reported an epoch or a model, or has ended well. */
type Outcome = 'failed' | 'worked' | 'finished'

/** An attempt of any training or conversion, as the fleet remembers it for a day. */
export type KnownAttempt = {
  readonly kind: RecordKind
  readonly name: string
  readonly id: string
  readonly hostId: string
  readonly gpus: readonly PlaceGpu[]
  readonly outcome: Outcome
  /** When that was seen, by the clock of Redis, and when the program had begun. */
  readonly at: number
  readonly startedAt: number
  /** Of a failed one. */
  readonly cause: FailureCause | null
  /** Whether it had worked before it failed. */
  readonly hasWorked: boolean
}

type Pair = { readonly kind: RecordKind; readonly name: string }

/** Hosts that have finished another one of this name within what is remembered. */
export function provenHosts(attempts: readonly KnownAttempt[], of: Pair & { readonly id: string }): readonly string[] {
  const finished = attempts.filter(
    ({ kind, name, outcome, id }) => kind === of.kind && name === of.name && outcome === 'finished' && id !== of.id,
  )
  return [...new Set(finished.map(({ hostId }) => hostId))]
}
