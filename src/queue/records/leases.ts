import { z } from 'zod'
import type { RedisLink } from '../redis/index.js'
import { LEAVE, RENEW, RETURN_EXPIRED, TAKE_BACK } from './lease-scripts.js'
import { checkRedisReader } from './least-reader.js'
import { KEPT_CHANGES } from './lua-records.js'
import { PROTOCOL } from './protocol.js'
import { recordKeys } from './record-keys.js'
import { type Intent, intentSchema } from './record-schema.js'

/** What a host shows with each write: only the newest run, of the life of the worker that has claimed it, may write. */
export type Claim = {
  readonly id: string
  readonly run: number
  readonly incarnation: string
  /** Of the record: one that was removed and made again under its id is another record. */
  readonly born: string
}

/** One life of a host's worker. */
export type Claimant = {
  readonly host: string
  /** Another one for each start of its worker. */
  readonly incarnation: string
  /** How long a record stays with a host that does not renew. */
  readonly leaseMs: number
  /** What the host reads and writes; this build's by default. */
  readonly protocol?: number
}

const renewals = ['held', 'regained', 'restored', 'superseded', 'ended', 'lost'] as const

/**
 * What became of a record that the host works on. It has it: `held`; `regained` after the lease had run out and nobody had
 * claimed it; `restored` after Redis had lost the claim. It has to end its program: `superseded` by another claim, or
 * `ended`. Redis does not know it, or only an older end: `lost`, which ends nothing unless somebody wants it to end.
 */
export type Renewal = {
  readonly id: string
  readonly outcome: (typeof renewals)[number]
  readonly intent: Intent | null
}

/** Why every lease was granted again: Redis' time jumped (or nobody renewed for half a lease), or the server is another one. */
export type Granted = 'time' | 'server' | null

export type Leases = {
  /** Renews all leases of this host in one step. Every host calls it, also one that has no record: it keeps the time. */
  renew(
    held: readonly Pick<Claim, 'id' | 'run' | 'born'>[],
  ): Promise<{ readonly granted: Granted; readonly records: readonly Renewal[] }>
  /**
   * Returns records whose lease has run out to the waiting ones, of any host, and ends the pauses that are over. Returns
   * the ids of the former.
   */
  returnExpired(options?: { readonly limit?: number }): Promise<readonly string[]>
  /**
   * Lets the records of this host's earlier lives wait again. The caller holds the lock of the data folder, which proves
   * that they are dead.
   */
  takeBack(): Promise<readonly string[]>
  /** The host ends on purpose: after a restart of Redis nobody waits for it. */
  leave(): Promise<void>
}

/**
 * Lets records wait again whose hosts are silent, for a part that is no host: with all hosts dead nobody else does. It waits for nothing: where Redis
 * takes no writes now, nothing is returned.
 */
export async function returnSilent(
  link: Pick<RedisLink, 'client' | 'prefix' | 'url' | 'tryWrites'>,
): Promise<readonly string[]> {
  if ((await link.tryWrites()).refusal !== '') return []
  await checkRedisReader(link, PROTOCOL)
  const { base } = recordKeys(link)
  const [, ids] = returnedSchema.parse(await RETURN_EXPIRED(link.client, [base], [KEPT_CHANGES, '', 100]))
  return ids
}

export type LeasesOptions = {
  /** How many changes the stream keeps. */
  readonly keepChanges?: number
}

const grantedSchema = z.enum(['time', 'server', '']).transform((reason): Granted => (reason === '' ? null : reason))
const intentText = z.string().transform((text) => (text === '' ? null : intentSchema.parse(JSON.parse(text))))
const renewedSchema = z.tuple([grantedSchema, z.array(z.tuple([z.string(), z.enum(renewals), intentText]))])
const returnedSchema = z.tuple([grantedSchema, z.array(z.string())])

export function createLeases(link: RedisLink, own: Claimant, options: LeasesOptions = {}): Leases {
  const { base } = recordKeys(link)
  const { keepChanges = KEPT_CHANGES } = options
  const { host, incarnation, leaseMs, protocol = PROTOCOL } = own
  return {
    async renew(held) {
      const args = [
        keepChanges,
        host,
        incarnation,
        leaseMs,
        protocol,
        ...held.flatMap((claim) => [claim.id, claim.run, claim.born]),
      ]
      const [granted, answers] = renewedSchema.parse(await RENEW(link.client, [base], args))
      return { granted, records: answers.map(([id, outcome, intent]) => ({ id, outcome, intent })) }
    },
    async returnExpired({ limit = 100 } = {}) {
      const [, ids] = returnedSchema.parse(await RETURN_EXPIRED(link.client, [base], [keepChanges, leaseMs, limit]))
      return ids
    },
    async takeBack() {
      return z.array(z.string()).parse(await TAKE_BACK(link.client, [base], [keepChanges, host, incarnation]))
    },
    async leave() {
      await LEAVE(link.client, [base], [keepChanges, host])
    },
  }
}
