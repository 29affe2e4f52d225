import { Job, type MinimalQueue } from 'bullmq'
import type { ClockWatch } from '../base/clock-watch.js'
import type { Logger } from '../base/logger.js'
import { luaScript } from './lua-script.js'
import type { RedisLink } from './open-redis.js'

export type LateRetriesDeps = { readonly link: RedisLink; readonly clock: ClockWatch; readonly log: Logger }

const EVERY_MS = 60_000
// Clocks of hosts differ a little, and nobody minds waiting for as much.
const SLACK_MS = 1_000

// BullMQ keeps the time of day at which a delayed job is due, times 4096, and in the job for how long it was delayed.
const FIND_LATE = luaScript(`
local late = {}
local found = redis.call('ZREVRANGE', KEYS[1], 0, 999, 'WITHSCORES')
for i = 1, #found, 2 do
  local left = math.floor(found[i + 1] / 4096) - tonumber(ARGV[2])
  if left <= tonumber(ARGV[3]) then break end
  local delay = tonumber(redis.call('HGET', ARGV[1] .. found[i], 'delay'))
  if delay and left > delay + tonumber(ARGV[3]) then table.insert(late, found[i]) end
end
return late`)

/**
 * A retry is due at a time of day. When the clock was ahead as that was written, the job would wait until the wrong
 * time comes; one that would wait for longer than its whole delay is tried at once instead. Looks when the clock goes
 * back here, after each outage, and every minute for the retries of other hosts. Returns what ends that.
 */
export function promoteLateRetries(queue: MinimalQueue, deps: LateRetriesDeps): () => void {
  const { link, clock, log } = deps
  const { name } = queue
  const base = `${link.prefix}:${name}:`
  let isEnded = false

  async function look(): Promise<void> {
    const late = await FIND_LATE(link.client, [`${base}delayed`], [base, Date.now(), SLACK_MS])
    for (const id of Array.isArray(late) ? late.map(String) : []) {
      const job = await Job.fromId(queue, id)
      if (isEnded || job === undefined) continue
      log.info({ queue: name, jobId: id }, 'the clock has gone back since the job was delayed; it is tried now')
      await job.promote()
    }
  }

  function lookSafely(): void {
    look().catch((error: unknown) => {
      if (!isEnded) log.debug({ err: error, queue: name }, 'late retries not checked')
    })
  }

  const timer = setInterval(lookSafely, EVERY_MS).unref()
  const stopWatching = clock.onSetBack(lookSafely)
  const stopListening = link.onReconnect(lookSafely)
  lookSafely()
  return () => {
    isEnded = true
    clearInterval(timer)
    stopWatching()
    stopListening()
  }
}
