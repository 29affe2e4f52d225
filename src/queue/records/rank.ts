import type { RecordHead, RecordKind } from './record-schema.js'

/** What is known of a record that waits, without what only its pipeline understands. */
export type WaitingRecord = Pick<
  RecordHead,
  'id' | 'kind' | 'name' | 'version' | 'requires' | 'protocol' | 'createdAt' | 'intent'
>

/** What a host offers, whatever it does at the moment. */
export type HostOffer = {
  readonly protocol: number
  /** GPUs that it lends, or 1 for the CPU slot of a host without GPUs. */
  readonly slots: number
  /** The trainers and converters that it serves. */
  readonly names: Readonly<Record<RecordKind, readonly string[]>>
  /** Records that it still works on, and those that it has just handed back, so that other hosts are first. */
  readonly avoid?: ReadonlySet<string>
}

/** Whether the host could ever work on it. */
export function fits(record: WaitingRecord, host: HostOffer): boolean {
  return (
    record.protocol <= host.protocol &&
    record.requires.gpus <= host.slots &&
    host.names[record.kind].includes(record.name) &&
    host.avoid?.has(record.id) !== true
  )
}

/**
 * Which waiting records the host claims, the first one first: the oldest that fit. A pure function of what it is given;
 * the claim itself decides between hosts.
 */
export function rank(snapshot: readonly WaitingRecord[], host: HostOffer): readonly WaitingRecord[] {
  return snapshot.filter((record) => fits(record, host)).sort(byAge)
}

// Ids decide between records of one millisecond, so that all hosts rank alike.
function byAge(one: WaitingRecord, other: WaitingRecord): number {
  if (one.createdAt !== other.createdAt) return one.createdAt - other.createdAt
  return one.id < other.id ? -1 : Number(one.id > other.id)
}
