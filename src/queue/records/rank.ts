import type { RecordHead, RecordKind } from './record-schema.js'

/** What is known of a record that waits, without what only its pipeline understands. */
export type WaitingRecord = Pick<
  RecordHead,
  'id' | 'kind' | 'name' | 'version' | 'requires' | 'protocol' | 'createdAt' | 'intent' | 'avoid'
>

/** What decides whether a host can work on it. */
export type RecordNeeds = Pick<WaitingRecord, 'id' | 'kind' | 'name' | 'requires' | 'protocol' | 'createdAt' | 'avoid'>

/** What a host offers, whatever it does at the moment. */
export type HostOffer = {
  readonly hostId: string
  readonly protocol: number
  /** GPUs that it lends, or 1 for the CPU slot of a host without GPUs. */
  readonly slots: number
  /** The trainers and converters that it serves. */
  readonly names: Readonly<Record<RecordKind, readonly string[]>>
  /** Records that it still works on, and those that it has just handed back, so that other hosts are first. */
  readonly avoid?: ReadonlySet<string>
}

/** What a host lacks for a record: a newer build, slots, its trainer or converter; or it leaves the record to others. */
export type Unfitness = 'protocol' | 'slots' | 'name' | 'avoided'

/** Why the host cannot work on it; undefined if it can. Claims and the reasons that people read are both made from this. */
export function unfitness(record: RecordNeeds, host: HostOffer): Unfitness | undefined {
  if (!host.names[record.kind].includes(record.name)) return 'name'
  if (record.requires.gpus > host.slots) return 'slots'
  if (record.protocol > host.protocol) return 'protocol'
  return host.avoid?.has(record.id) === true || record.avoid.includes(host.hostId) ? 'avoided' : undefined
}

/**
 * The record as these hosts see it: if none that takes work could work on it but those that leave it to others, nobody leaves it to others.
 */
export function seenBy<T extends RecordNeeds>(record: T, hosts: readonly HostOffer[]): T {
  if (record.avoid.length === 0 || hosts.some((host) => fits(record, host))) return record
  return { ...record, avoid: [] }
}

/** Whether the host could ever work on it. */
export function fits(record: RecordNeeds, host: HostOffer): boolean {
  return unfitness(record, host) === undefined
}

/**
 * Which waiting records the host claims, the first one first: the oldest that fit. A pure function of what it is given;
 * the claim itself decides between hosts.
 */
export function rank(snapshot: readonly WaitingRecord[], host: HostOffer): readonly WaitingRecord[] {
  return snapshot.filter((record) => fits(record, host)).sort(byAge)
}

/** Ids decide between records of one millisecond, so that all hosts rank alike. */
export function byAge(one: RecordNeeds, other: RecordNeeds): number {
  if (one.createdAt !== other.createdAt) return one.createdAt - other.createdAt
  return one.id < other.id ? -1 : Number(one.id > other.id)
}
