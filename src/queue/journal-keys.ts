import type { RedisLink } from './open-redis.js'

export type JournalKeys = ReturnType<typeof journalKeys>

/** Where the journal keeps what (docs/reference lists the keys). */
export function journalKeys(link: Pick<RedisLink, 'prefix'>) {
  const base = link.prefix
  return {
    /** Of all trainings; an id follows. */
    prefix: `${base}:training:`,
    training: (id: string) => `${base}:training:${id}`,
    log: (id: string) => `${base}:log:${id}`,
    /** Hash: epoch → metrics as JSON. */
    curve: (id: string) => `${base}:curve:${id}`,
    /** Hash: organization/project#number → id of the last training so named. */
    names: `${base}:training-names`,
    /** Hash: uuid of a seat → id of its newest training. */
    seats: `${base}:seat-trainings`,
    /** Set: ended trainings of a seat whose final status the Loop has not acknowledged; the uuid follows. */
    endsPrefix: `${base}:seat-ends:`,
    ends: (uuid: string) => `${base}:seat-ends:${uuid}`,
    /** Sorted sets of ids by time of order, and all with the same score to find them by prefix. */
    all: `${base}:trainings`,
    unfinished: `${base}:trainings-unfinished`,
    ids: `${base}:training-ids`,
    /** Hash: id → the stop or abort that was asked for and is not obeyed yet. */
    control: `${base}:control`,
    /** Pub/sub channels; the message is an id. */
    changes: `${base}:changes`,
    controlChannel: `${base}:control-changes`,
  }
}
