import type { Redis } from 'ioredis'
import { messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import { RedisUnfitError } from './redis-errors.js'

const OLDEST = [6, 2] as const

/**
 * Refuses a Redis in which trainings would not be safe (too old, evicting, read-only, full, a cluster), and warns when
 * an acknowledged write could be lost with the machine.
 */
export async function checkRedis(
  client: Redis,
  options: { readonly shown: string; readonly prefix: string },
  deps: { readonly log: Logger },
): Promise<void> {
  const facts = parseInfo(await client.info())
  const refuse = (fault: string, wayOut: string) => {
    throw new RedisUnfitError({ url: options.shown, fault, wayOut })
  }

  const version = facts.get('redis_version') ?? '0'
  if (!isAtLeast(version, OLDEST)) refuse(`is version ${version}`, `use ${OLDEST.join('.')} or newer`)
  if (facts.get('redis_mode') === 'cluster') refuse('is a cluster, which is not supported yet', 'use a single server')

  const policy = facts.get('maxmemory_policy')
  if (policy === undefined) deps.log.warn({ url: options.shown }, 'the eviction policy of Redis cannot be read')
  else if (policy !== 'noeviction') {
    refuse(`may throw jobs away (maxmemory-policy ${policy})`, 'set "maxmemory-policy noeviction"')
  }

  const fault = await writeFault(client, options.prefix)
  if (fault !== undefined)
    refuse(`does not take writes (${fault})`, 'give it memory or a writable disk, or use its primary')
  await warnOfWeakPersistence(client, facts, options.shown, deps.log)
}

async function writeFault(client: Redis, prefix: string): Promise<string | undefined> {
  try {
    await client.set(`${prefix}:write-check`, '1', 'PX', 1_000)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

async function warnOfWeakPersistence(client: Redis, facts: Facts, url: string, log: Logger): Promise<void> {
  if (facts.get('aof_enabled') === '0') {
    log.warn({ url }, 'Redis keeps no append-only file: accepted orders can be lost with the machine')
    return
  }
  const appendfsync = await readConfig(client, 'appendfsync')
  if (appendfsync !== undefined && appendfsync !== 'always') {
    log.warn({ url, appendfsync }, 'Redis does not write every order to disk at once: up to a second can be lost')
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
