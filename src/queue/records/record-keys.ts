import { InvalidInputError } from '../../base/index.js'
import type { RedisLink } from '../redis/index.js'

export type RecordKeys = ReturnType<typeof recordKeys>

/**
 * Where records are kept. The scripts are given `base` and compute the rest: all keys share the hash tag of the prefix,
 * and with it one slot of a Redis Cluster.
 */
export function recordKeys(link: Pick<RedisLink, 'prefix'>) {
  const base = `${link.prefix}:records`
  return {
    base,
    /** Hash: one record. */
    record: (id: string) => `${base}:record:${id}`,
    /** List: what happened to one record, as JSON, the newest last. */
    history: (id: string) => `${base}:history:${id}`,
    /** Sorted set: ids that wait, by their time of creation. */
    waiting: (kind: string, name: string) => `${base}:waiting:${kind}:${name}`,
    /** Sorted set: ids that wait and that no host is offered yet, by the Redis time until which. */
    paused: (kind: string, name: string) => `${base}:paused:${kind}:${name}`,
    /** Sorted set: ids that wait for a person, by their time of creation. */
    held: (kind: string, name: string) => `${base}:held:${kind}:${name}`,
    /** Sorted set: ids that some hosts leave to others, by the Redis time until which. */
    avoided: `${base}:avoided`,
    /** Set: `kind:name` of every trainer and converter that ever had a record. */
    names: `${base}:names`,
    /** Stream: the newest lines of its log; goes with its record. */
    log: (id: string) => `${base}:log:${id}`,
    /** Hash: the metrics of a training by epoch; goes with its record. */
    curve: (id: string) => `${base}:curve:${id}`,
    /** String: that a record is to end which a host may have although Redis does not know it; expires. */
    intent: (id: string) => `${base}:intent:${id}`,
    /** Sorted sets: ids by time of creation, those that have ended by time of end, and all with score 0 to find them by prefix. */
    all: (kind: string) => `${base}:all:${kind}`,
    open: (kind: string) => `${base}:open:${kind}`,
    ended: (kind: string) => `${base}:ended:${kind}`,
    /** Those that ended with this outcome. */
    endedAs: (kind: string, outcome: string) => `${base}:ended:${kind}:${outcome}`,
    ids: (kind: string) => `${base}:ids:${kind}`,
    /** Sorted set: ids that are claimed, by the Redis time at which their lease ends. */
    leases: `${base}:leases`,
    /** Hash: the Redis time, the server and its epoch as the last judgement of leases found them. */
    clock: `${base}:clock`,
    /** Sorted set: hosts by the epoch in which they renewed last. */
    hosts: `${base}:hosts`,
    /** Sorted set: what became of programs of this name on hosts, as JSON, by the Redis time of it; a day. */
    attempts: (kind: string, name: string) => `${base}:attempts:${kind}:${name}`,
    /** Stream, and how many entries it has had. */
    changes: `${base}:changes`,
    changeCount: `${base}:change-count`,
    /** The least protocol number that may read. */
    leastReader: `${base}:least-reader`,
  }
}

const ID = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/

/** Ids are parts of keys and of ids of BullMQ jobs, which have neither colons nor dots, and are no numbers. */
export function checkRecordId(id: string): string {
  if (ID.test(id)) return id
  throw new InvalidInputError(
    `Record id ${JSON.stringify(id)} is invalid; it begins with a letter and has up to 64 letters, digits, dashes and underscores.`,
    { details: { id } },
  )
}

/** The name of a trainer or converter, by which waiting records are found. */
export function checkRecordName(name: string): string {
  if (NAME.test(name)) return name
  throw new InvalidInputError(
    `Name ${JSON.stringify(name)} cannot be part of a key; use up to 128 letters, digits, dots, dashes and underscores.`,
    { details: { name } },
  )
}
