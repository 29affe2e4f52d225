import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { type Closers, openResource } from '../base/closers.js'
import { every } from '../base/every.js'
import { type Logger, silentLogger } from '../base/logger.js'
import { closeOrLeave } from './close-or-leave.js'
import type { Journal, Reopened, TrainingRecord } from './journal.js'
import { TrainingUnknownError } from './journal-errors.js'
import { journalKeys } from './journal-keys.js'
import { luaScript } from './lua-script.js'
import { queueNames } from './names.js'
import type { RedisLink } from './open-redis.js'
import { createQueueTraining } from './queue-training.js'
import type { Queues } from './queues.js'
import { levelOf } from './redis-refusals.js'
import type { Subscription } from './subscriptions.js'

export const controlKinds = ['stop', 'abort'] as const
export type ControlKind = (typeof controlKinds)[number]

/** What became of a request: a worker will hear of it, the training has ended by it, or it had ended before. */
export type ControlOutcome = 'asked' | 'ended' | 'ended-before'

/** How trainings are stopped, aborted and retried from anywhere in the fleet. */
export type Control = {
  /** Durable when it resolves: obeyed even if the worker is down. A training no worker has begun ends at once. */
  request(id: string, kind: ControlKind, by: string): Promise<ControlOutcome>
  /** For a training whose record Redis has lost: a host that has it at work obeys. */
  requestWithoutRecord(id: string, kind: ControlKind, by: string): Promise<void>
  /** What was asked for and is not obeyed yet; abort wins over stop. */
  pending(id: string): Promise<ControlKind | null>
  /** Hears each request once, also those that were made before or while Redis was away. */
  watch(onRequest: (id: string, kind: ControlKind) => void): Promise<Subscription>
  clear(id: string): Promise<void>
  /** Reopens a failed training and queues it again. */
  retry(id: string): Promise<Reopened>
}

export type ControlOptions = {
  /** How often the durable flags are read again, in case a message was lost. */
  readonly lookAgainMs?: number
}

// An abort is never softened to a stop.
const REQUEST = luaScript(`
local endedAt = redis.call('HGET', KEYS[2], 'endedAt')
if not endedAt then return 'unknown' end
if endedAt ~= 'null' then return 'ended' end
local earlier = redis.call('HGET', KEYS[1], ARGV[1])
if earlier and cjson.decode(earlier).kind == 'abort' then return 'ok' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], 'stopRequested', 'true')
redis.call('PUBLISH', ARGV[3], ARGV[1])
redis.call('PUBLISH', ARGV[4], ARGV[1])
return 'ok'`)

/** KEYS control. ARGV id, request, channel. */
const REQUEST_LOST = luaScript(`
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[1])`)

const requestSchema = z.object({ kind: z.enum(controlKinds), by: z.string(), mark: z.string() })

export function createControl(
  link: RedisLink,
  journal: Journal,
  queues: Pick<Queues, 'remove' | 'add' | 'job'>,
  options: ControlOptions = {},
  deps: { readonly log?: Logger } = {},
): Control {
  const keys = journalKeys(link)
  const { log = silentLogger() } = deps
  const queueTraining = createQueueTraining(queues)

  async function endIfNobodyHasIt(training: TrainingRecord, kind: ControlKind): Promise<ControlOutcome> {
    // A training that was handed back with a model still has to upload it: that is for a worker.
    if (kind === 'stop' && training.best !== null) return 'asked'
    const queue = queueNames.trainings(training.trainer)
    const wasWaiting = await queues.remove(queue, training.id)
    if (!wasWaiting && (await queues.job(queue, training.id)) !== undefined) return 'asked'
    await journal.finish(training.id, null, { outcome: 'aborted' })
    return 'ended'
  }

  async function openWatch(onRequest: (id: string, kind: ControlKind) => void, closers: Closers) {
    const told = new Map<string, string>()
    const over = new AbortController()
    async function look(): Promise<void> {
      const requests = Object.entries(await link.client.hgetall(keys.control))
      for (const id of told.keys()) if (!requests.some(([each]) => each === id)) told.delete(id)
      for (const [id, text] of requests) {
        const kind = parseKind(text)
        if (over.signal.aborted || kind === null || told.get(id) === text) continue
        told.set(id, text)
        onRequest(id, kind)
      }
    }
    async function lookSafely(): Promise<void> {
      await look().catch((error: unknown) => {
        if (!over.signal.aborted) log[levelOf(error)]({ err: error }, 'requests to stop cannot be read')
      })
    }
    const subscription = await link.subscribe(keys.controlChannel, lookSafely, { onReconnect: lookSafely })
    closers.add('subscription', () => subscription.close())
    every(options.lookAgainMs ?? 5_000, lookSafely, closers, 'requests')
    closers.add('messages', () => over.abort())
    await look()
    return {}
  }

  return {
    async request(id, kind, by) {
      // The mark tells a second request from the first, when the training was retried in between.
      const request = JSON.stringify({ kind, by, mark: randomUUID() })
      const args = [id, request, keys.controlChannel, keys.changes]
      const answer = await REQUEST(link.client, [keys.control, keys.training(id)], args)
      if (answer === 'ended') return 'ended-before'
      const training = answer === 'unknown' ? undefined : await journal.load(id)
      if (training === undefined) throw new TrainingUnknownError(id)
      return await endIfNobodyHasIt(training, kind)
    },

    async requestWithoutRecord(id, kind, by) {
      const request = JSON.stringify({ kind, by, mark: randomUUID() })
      await REQUEST_LOST(link.client, [keys.control], [id, request, keys.controlChannel])
    },

    async pending(id) {
      return parseKind(await link.client.hget(keys.control, id))
    },

    async watch(onRequest) {
      const watch = await openResource(log, (closers) => openWatch(onRequest, closers))
      return { close: () => closeOrLeave(link, watch.close()) }
    },

    async clear(id) {
      await link.client.hdel(keys.control, id)
    },

    async retry(id) {
      const reopened = await journal.reopen(id)
      if (reopened.outcome === 'refused') return reopened
      const queue = queueNames.trainings(reopened.training.trainer)
      await queues.remove(queue, id, { force: true }) // the failed job of the earlier runs
      await queueTraining(reopened.training)
      return reopened
    },
  }
}

function parseKind(text: string | null): ControlKind | null {
  if (text === null) return null
  try {
    return requestSchema.parse(JSON.parse(text)).kind
  } catch {
    return null // not one of ours; nobody must be stopped by it
  }
}
