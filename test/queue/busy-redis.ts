import { until } from '../helpers/until.js'
import type { OwnRedis } from './own-redis.js'

/** Somebody's script that never ends by itself: Redis refuses all else with BUSY until it is killed. */
export async function beginLongScript(redis: OwnRedis): Promise<void> {
  await redis.call('CONFIG', 'SET', 'lua-time-limit', '1')
  redis.call('EVAL', 'while true do end', '0').catch(() => undefined)
  await until('it is busy', () =>
    redis.call('PING').then(
      () => false,
      (error: unknown) => String(error).includes('BUSY'),
    ),
  )
}

export async function endLongScript(redis: OwnRedis): Promise<void> {
  await redis.call('SCRIPT', 'KILL')
}
