import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { isForbidden, RedisUnfitError, refusalOf } from '../redis-basics/index.js'

const OLDEST = [6, 2] as const

// One command of each kind that is used, so that a user without it is refused now and not in the middle of a training.
const PROBE = `
redis.call('TIME')
redis.call('XADD', KEYS[2], '*', 'n', '1')
redis.call('ZADD', KEYS[3], 1, 'n')
redis.call('RPUSH', KEYS[4], 'n')
redis.call('SADD', KEYS[5], 'n')
redis.call('HSET', KEYS[6], 'n', '1')
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])
redis.call('SET', KEYS[1], '1', 'PX', 1000)
return redis.call('GET', KEYS[1])`
const PROBE_SHA = createHash('sha1').update(PROBE).digest('hex')
const PROBE_KINDS = ['', '-stream', '-sorted', '-list', '-set', '-hash']

type About = { readonly shown: string; readonly prefix: string }

/** Refuses a Redis that cannot be read as we do (too old, a cluster). */
export async function checkReading(client: Redis, { shown }: About): Promise<void> {
  const facts = parseInfo(await client.info())
  const version = facts.get('redis_version') ?? '0'
  if (!isAtLeast(version, OLDEST)) refuse(shown, `is version ${version}`, `use ${OLDEST.join('.')} or newer`)
  if (facts.get('redis_mode') === 'sentinel') {
    refuse(shown, 'is a Sentinel, which keeps no data', 'use the address of the primary that it watches')
  }
  if (facts.get('redis_mode') === 'cluster') {
    refuse(shown, 'is a cluster, which is not supported yet', 'use a single server')
  }
}

/**
 * Refuses a Redis in which trainings would not be safe (evicting, read-only, full), and warns when an acknowledged write
 * could be lost with the machine.
 */
export async function checkWriting(
  client: Redis,
  { shown, prefix }: About,
  deps: { readonly log: Logger },
): Promise<void> {
  const facts = parseInfo(await client.info())
  const policy = facts.get('maxmemory_policy')
  if (policy === undefined) deps.log.warn({ url: shown }, 'the eviction policy of Redis cannot be read')
  else if (policy !== 'noeviction') {
    refuse(shown, `may throw jobs away (maxmemory-policy ${policy})`, 'set "maxmemory-policy noeviction"')
  }
  await checkWrite(client, shown, prefix)
  await warnOfWeakPersistence(client, facts, shown, deps.log)
}

function refuse(shown: string, fault: string, wayOut: string): never {
  throw new RedisUnfitError({ url: shown, fault, wayOut })
}

async function checkWrite(client: Redis, shown: string, prefix: string): Promise<void> {
  try {
    const keys = PROBE_KINDS.map((kind) => `${prefix}:write-check${kind}`)
    await client.eval(PROBE, keys.length, ...keys)
    await client.evalsha(PROBE_SHA, keys.length, ...keys)
    await client.publish(`${prefix}:write-check`, '')
    await client.bzpopmin(`${prefix}:write-check-empty`, 0.01)
    await client.xread('COUNT', 1, 'STREAMS', `${prefix}:write-check-stream`, '0')
  } catch (error) {
    const refusal = isForbidden(error) ? undefined : refusalOf(error)
    if (refusal === undefined) throw error
    refuse(shown, `does not take writes: ${refusal.fault} (${messageOf(error)})`, refusal.wayOut)
  }
}

async function warnOfWeakPersistence(client: Redis, facts: Facts, url: string, log: Logger): Promise<void> {
  if (facts.get('aof_enabled') === '0') {
    log.warn({ url }, 'Redis keeps no append-only file: accepted orders can be lost with the machine')
    return
  }
  const appendfsync = await readConfig(client, 'appendfsync')
  if (appendfsync !== undefined && appendfsync !== 'always') {
    log.warn({ url, appendfsync }, 'Redis does not write every order to disk immediately: up to a second can be lost')
  }
}

async function readConfig(client: Redis, name: string): Promise<string | undefined> {
  try {
    const [, value] = (await client.config('GET', name)) as unknown[]
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined // managed Redis often forbids CONFIG; then there is nothing to warn of
  }
}

type Facts = ReadonlyMap<string, string>

function parseInfo(text: string): Facts {
  const lines = text.split(/\r?\n/).filter((line) => line.includes(':'))
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]))
}

function isAtLeast(version: string, oldest: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1])
}
