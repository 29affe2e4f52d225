import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { RunSupersededError } from '../../base/index.js'
import type { LuaScript, RedisLink } from '../redis/index.js'
import type { Claim, Claimant } from './leases.js'
import { KEPT_CHANGES } from './lua-records.js'
import { PROTOCOL } from './protocol.js'
import { RecordLostError } from './record-errors.js'
import { parseRecord, toHash, toPayloadPairs } from './record-hash.js'
import { checkRecordId, checkRecordName, recordKeys } from './record-keys.js'
import { createRecordReader, type RecordReader } from './record-reader.js'
import {
  type FleetRecord,
  type IntentKind,
  type PayloadDefinition,
  type Requirements,
  requirementsSchema,
} from './record-schema.js'
import {
  CHECK,
  CLAIM,
  CREATE,
  END_AGAIN,
  FINISH,
  INTEND,
  INTEND_LOST,
  RELEASE,
  REMOVE,
  REOPEN,
  RESUME,
  TRIM,
  UPDATE,
} from './record-scripts.js'

const offers = ['created', 'expired', 'released', 'taken-back', 'reopened'] as const
/**
 * Why a record was offered to hosts: it was made; the lease of its host ran out; its host gave it back, or found that an earlier life
 * of its own had died with it; or it was ended and is retried.
 */
export type Offered = (typeof offers)[number]

export type Claimed<T> =
  | {
      readonly outcome: 'claimed'
      readonly claim: Claim
      readonly fruitlessRuns: number
      readonly offered: Offered
      readonly before: FleetRecord<T>
    }
  /** Another host was first, or it has ended. */
  | { readonly outcome: 'taken' | 'unknown' }
  /** It was written since it was seen; read it again. */
  | { readonly outcome: 'changed' }
  /** Only a newer version can work on it. */
  | { readonly outcome: 'too-new'; readonly protocol: number }
  /** Redis was restarted, and hosts that may have it have not renewed yet. */
  | { readonly outcome: 'settling'; readonly waitMs: number }

/** What Redis has of a run that is at work: `newer` means that it must end. `found` is the run in the record, null without one. */
export type RunInRedis = { readonly state: 'same' | 'newer' | 'lost'; readonly found: number | null }

/** What a write is worth to its run; `best` also forgets counted failures. A failure has a name, and is counted once. */
export type Mark = 'best' | 'useful' | 'excused' | { readonly failure: string }

/** `avoid` names hosts that leave the record to others for so long; without `avoidMs` as long as another fit host lives. */
export type ReleaseOptions<T> = {
  readonly isExcused?: boolean
  readonly pauseMs?: number
  readonly patch?: Partial<T>
  readonly avoid?: readonly string[]
  readonly avoidMs?: number | undefined
  /** The host could not do it; twenty in a day hold the record for a person. */
  readonly isHandBack?: boolean
}

type NewRecord<T> = {
  readonly id: string
  /** The trainer or converter that it needs. */
  readonly name: string
  readonly requires?: Partial<Requirements>
  readonly payload: T
}

/** The durable records of one kind. Writes of a run throw LF_RUN_SUPERSEDED or LF_RECORD_LOST when it may not write. */
export type Records<T> = RecordReader<T> & {
  /** Makes a record that waits, unless there is one with this id. */
  create(record: NewRecord<T>): Promise<'created' | 'exists'>
  /** A host claims a record as it has seen it; raises the run, so that every older run is fenced off. */
  claim(seen: { readonly id: string; readonly version: number }, by: Claimant): Promise<Claimed<T>>
  /** Directly before every effect outside. */
  check(claim: Claim): Promise<void>
  /** Writes what differs; nobody is notified if nothing does. */
  update(claim: Claim, patch: Partial<T>, mark?: Mark): Promise<void>
  /** Writes without a fence, such as what a node has received from the Loop. */
  amend(id: string, patch: Partial<T>): Promise<void>
  finish(claim: Claim, outcome: string, patch?: Partial<T>): Promise<void>
  /** Writes an end again that Redis has confirmed to a host and lost since; returns whether it had. */
  endAgain(
    ended: Pick<Claim, 'id' | 'run' | 'born'> & { readonly host: string },
    outcome: string,
    payload: Partial<T>,
  ): Promise<boolean>
  /** Gives it back; an excused run does not count as fruitless. Hosts are offered it after a pause. */
  release(claim: Claim, options?: ReleaseOptions<T>): Promise<void>
  /** A person lets a record be offered to hosts again that was handed back too often. */
  resume(id: string): Promise<'ok' | 'unknown' | 'not-held'>
  /**
   * Asks for its end, durably. With `endIfWaiting`, the version that was seen, a record that nobody has ends immediately.
   */
  intend(
    id: string,
    kind: IntentKind,
    by: string,
    options?: { readonly endIfWaiting?: number },
  ): Promise<'asked' | 'ended' | 'ended-before' | 'changed' | 'unknown'>
  /** Asks for the end of a record that Redis has lost; kept for a week, for the host that works on it. */
  intendLost(id: string, kind: IntentKind, by: string): Promise<void>
  /** An ended record waits again, with another run. */
  reopen(
    seen: { readonly id: string; readonly version: number },
    patch?: Partial<T>,
  ): Promise<'ok' | 'unknown' | 'changed' | 'unfinished'>
  /** Removes it and its history: as its run, or an ended one. */
  remove(what: Claim | { readonly id: string }): Promise<'removed' | 'unfinished' | 'unknown'>
  /** Removes the ended ones beyond a number or an age, the oldest first; returns at most `limit` ids. With an outcome, only such. */
  trim(options: {
    readonly outcome?: string
    readonly keep: number
    readonly maxAgeMs?: number
    readonly limit?: number
  }): Promise<readonly string[]>
}

export type RecordsOptions = {
  /** What is read and written; this build's by default. */
  readonly protocol?: number
  /** How many changes the stream keeps. */
  readonly keepChanges?: number
}

const claimedSchema = z.union([
  z.tuple([z.literal('claimed'), z.int(), z.int(), z.enum(offers), z.array(z.string())]),
  z.tuple([z.enum(['too-new', 'settling']), z.number()]),
  z.tuple([z.enum(['taken', 'changed', 'unknown'])]),
])
const fencedSchema = z.union([
  z.tuple([z.enum(['ok', 'ended', 'unfinished'])]),
  z.tuple([z.enum(['lost', 'superseded']), z.string()]),
])

export function createRecords<T extends object>(
  link: RedisLink,
  definition: PayloadDefinition<T>,
  options: RecordsOptions = {},
): Records<T> {
  const { protocol = PROTOCOL, keepChanges = KEPT_CHANGES } = options
  const { kind } = definition
  const keys = recordKeys(link)
  const call = (script: LuaScript, ...args: readonly (string | number)[]) =>
    script(link.client, [keys.base], [keepChanges, ...args])
  const pairs = (patch: Partial<T> = {}) => toPayloadPairs(patch, definition)

  async function fenced(script: LuaScript, claim: Claim, ...args: readonly (string | number)[]): Promise<string> {
    const { id, run, incarnation, born } = claim
    const [outcome, found] = fencedSchema.parse(await call(script, id, run, incarnation, born, ...args))
    if (outcome === 'superseded') throw new RunSupersededError({ trainingId: id, run })
    if (outcome === 'lost') throw lost(id, run, found)
    return outcome
  }

  function lost(id: string, run: number, found = ''): RecordLostError {
    return new RecordLostError({ what: `${kind} ${id}`, run, found: found === '' ? null : Number(found) })
  }

  return {
    ...createRecordReader(link, keys, definition, protocol),

    async create({ id, name, requires, payload }) {
      const needs = JSON.stringify(requirementsSchema.parse(requires ?? {}))
      const head = [checkRecordId(id), kind, checkRecordName(name), needs, protocol]
      return z
        .enum(['created', 'exists'])
        .parse(await call(CREATE, ...head, ...pairs(definition.schema.parse(payload))))
    },

    async claim({ id, version }, by) {
      const { host, incarnation, leaseMs } = by
      const args = [id, version, host, incarnation, leaseMs, by.protocol ?? protocol]
      const answer = claimedSchema.parse(await call(CLAIM, ...args))
      if (answer[0] === 'too-new') return { outcome: 'too-new', protocol: answer[1] }
      if (answer[0] === 'settling') return { outcome: 'settling', waitMs: answer[1] }
      if (answer[0] !== 'claimed') return { outcome: answer[0] }
      const [, run, fruitlessRuns, offered, flat] = answer
      const before = parseRecord(keys.record(id), toHash(flat), definition, protocol)
      if (before === undefined) throw lost(id, run)
      return { outcome: 'claimed', claim: { id, run, incarnation, born: before.born }, fruitlessRuns, offered, before }
    },

    async check(claim) {
      await fenced(CHECK, claim)
    },
    async update(claim, patch, mark) {
      const marks = typeof mark === 'object' ? ['failure', mark.failure] : [mark ?? '', '']
      await fenced(UPDATE, claim, ...marks, ...pairs(patch))
    },
    async amend(id, patch) {
      const [outcome, found] = fencedSchema.parse(await call(UPDATE, id, ...NOBODY, '', '', ...pairs(patch)))
      if (outcome === 'lost') throw lost(id, 0, found)
    },
    async finish(claim, outcome, patch) {
      await fenced(FINISH, claim, outcome, ...pairs(patch))
    },
    async endAgain({ id, run, born, host }, outcome, payload) {
      return (await call(END_AGAIN, id, run, born, host, outcome, ...pairs(payload))) === 1
    },
    async release(claim, { isExcused = true, pauseMs = 0, patch, avoid = [], avoidMs, isHandBack = false } = {}) {
      const leftTo = [avoid.length === 0 ? '' : JSON.stringify(avoid), avoidMs ?? '', Number(isHandBack)]
      await fenced(RELEASE, claim, isExcused ? 'excused' : '', Math.round(pauseMs), ...leftTo, ...pairs(patch))
    },
    resume: async (id) => resumedSchema.parse(await call(RESUME, id, randomUUID())),

    async intend(id, wanted, by, { endIfWaiting } = {}) {
      return intendedSchema.parse(await call(INTEND, id, wanted, by, endIfWaiting ?? '', randomUUID()))
    },
    async intendLost(id, wanted, by) {
      await call(INTEND_LOST, id, kind, wanted, by, randomUUID())
    },
    async reopen({ id, version }, patch) {
      return reopenedSchema.parse(await call(REOPEN, id, version, ...pairs(patch)))
    },
    async remove(what) {
      const run = 'run' in what ? what.run : 0
      const by = 'run' in what ? [run, what.incarnation, what.born] : NOBODY
      const [outcome, found] = fencedSchema.parse(await call(REMOVE, what.id, ...by))
      if (outcome === 'superseded') throw new RunSupersededError({ trainingId: what.id, run })
      if (outcome !== 'lost') return outcome === 'unfinished' ? 'unfinished' : 'removed'
      if (found !== '') throw lost(what.id, run, found)
      return 'unknown'
    },
    async trim({ keep, maxAgeMs, limit = 100, outcome = '' }) {
      return z.array(z.string()).parse(await call(TRIM, kind, keep, maxAgeMs ?? '', limit, outcome))
    },
  }
}

/** Run, incarnation and birth of a write without a fence. */
const NOBODY = ['', '', ''] as const
const intendedSchema = z.enum(['asked', 'ended', 'ended-before', 'changed', 'unknown'])
const resumedSchema = z.enum(['ok', 'unknown', 'not-held'])
const reopenedSchema = z.enum(['ok', 'unknown', 'changed', 'unfinished'])
