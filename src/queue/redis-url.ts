import type { RedisOptions } from 'ioredis'
import { InvalidInputError } from '../base/errors.js'

export type RedisAddress = {
  /** For ioredis: an address it knows itself, or undefined when `options` say all. */
  readonly url: string | undefined
  readonly options: RedisOptions
  /** For people: never with a password. */
  readonly shown: string
}

/** Reads `redis://`, `rediss://`, `unix:///…` and a plain path; refuses the rest with a sentence. */
export function parseRedisUrl(url: string): RedisAddress {
  if (url.startsWith('/')) return { url: undefined, options: { path: url }, shown: `unix://${url}` }
  const parsed = tryUrl(url)
  if (parsed?.protocol === 'unix:') return unixAddress(parsed)
  if (parsed?.protocol === 'redis:' || parsed?.protocol === 'rediss:')
    return { url, options: {}, shown: shownUrl(parsed) }
  // The value may hold a password, so it is not repeated.
  throw new InvalidInputError(
    'REDIS_URL is no Redis address; use redis://host:6379, rediss://… or unix:///path/redis.sock.',
  )
}

function unixAddress(parsed: URL): RedisAddress {
  const path = decodeURIComponent(parsed.pathname)
  const database = Number(parsed.searchParams.get('db') ?? 0)
  const options: RedisOptions = { path }
  if (parsed.username !== '') options.username = decodeURIComponent(parsed.username)
  if (parsed.password !== '') options.password = decodeURIComponent(parsed.password)
  if (Number.isInteger(database) && database > 0) options.db = database
  return { url: undefined, options, shown: `unix://${path}` }
}

function shownUrl(parsed: URL): string {
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`
}

function tryUrl(url: string): URL | undefined {
  try {
    return new URL(url)
  } catch {
    return undefined // the caller says what is accepted
  }
}
