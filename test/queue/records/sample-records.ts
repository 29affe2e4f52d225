import { z } from 'zod'
import type { Claim, Claimant } from '../../../src/queue/records/leases.js'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import type { PayloadDefinition } from '../../../src/queue/records/record-schema.js'
import type { Claimed, Records } from '../../../src/queue/records/records.js'
import type { RedisLink } from '../../../src/queue/redis/open-redis.js'

const payloadSchema = z.object({
  order: z.string(),
  progress: z.number().nullable(),
  steps: z.record(z.string(), z.object({ host: z.string() })),
})
export type SamplePayload = z.infer<typeof payloadSchema>

export const sampleTraining: PayloadDefinition<SamplePayload> = {
  kind: 'training',
  schema: payloadSchema,
  spread: ['steps'],
}
export const sampleConversion: PayloadDefinition<{ model: string }> = {
  kind: 'conversion',
  schema: z.object({ model: z.string() }),
}
export const samplePayload: SamplePayload = { order: 'acme/pets#1', progress: null, steps: {} }

export const hostA: Claimant = { host: 'a', incarnation: 'a1', leaseMs: 30_000 }
export const hostB: Claimant = { host: 'b', incarnation: 'b1', leaseMs: 30_000 }

/** Makes a record with this id, named `yolo`, unless there is one. */
export async function createSample(records: Records<SamplePayload>, id: string): Promise<void> {
  await records.create({ id, name: 'yolo', payload: samplePayload })
}

/** The claim of a host that has just read the record; fails when it is not granted. */
export async function claimAs<T>(records: Records<T>, id: string, by: Claimant): Promise<Claim> {
  const answer = await tryClaim(records, id, by)
  if (answer.outcome !== 'claimed') throw new Error(`${by.host} was not given ${id}: ${answer.outcome}`)
  return answer.claim
}

export async function tryClaim<T>(records: Records<T>, id: string, by: Claimant): Promise<Claimed<T>> {
  const version = (await records.load(id))?.version ?? 0
  return await records.claim({ id, version }, by)
}

/** Lets the lease of a record have run out, as if its host had been silent for long. */
export async function endLease(link: RedisLink, id: string): Promise<void> {
  await link.client.zadd(recordKeys(link).leases, 'XX', 1, id)
}

/** How long the lease of a record goes on, by the clock of Redis. */
export async function leaseLeft(link: RedisLink, id: string): Promise<number> {
  return Number(await link.client.zscore(recordKeys(link).leases, id)) - (await redisNow(link))
}

export async function redisNow(link: RedisLink): Promise<number> {
  const [seconds, microseconds] = await link.client.time()
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}

/**
 * Moves the time that the last judgement of leases has seen. To the scripts this is a jump of Redis' clock by as much in
 * the other direction; leases are moved with it, since they were written by the clock of before.
 */
export async function jumpClock(link: RedisLink, byMs: number): Promise<void> {
  const keys = recordKeys(link)
  const seen = Number(await link.client.hget(keys.clock, 'time'))
  await link.client.hset(keys.clock, 'time', seen - byMs)
  const leases = await link.client.zrange(keys.leases, 0, '-1')
  for (const id of leases) await link.client.zincrby(keys.leases, -byMs, id)
}
