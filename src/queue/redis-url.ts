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
  const unix = UNIX.exec(url)?.groups
  if (unix !== undefined) return unixAddress(unix)
  const parsed = tryUrl(url)
  if (parsed?.protocol === 'redis:' || parsed?.protocol === 'rediss:')
    return { url, options: {}, shown: shownUrl(parsed) }
  // The value may hold a password, so it is not repeated.
  throw new InvalidInputError(
    'REDIS_URL is no Redis address; use redis://host:6379, rediss://… or unix:///path/redis.sock.',
  )
}

// No URL as browsers know them: they allow no user where there is no host.
const UNIX = /^unix:\/\/(?:(?<user>[^:@/]*):(?<password>[^@/]*)@)?(?<path>\/[^?]*)(?:\?(?:.*&)?db=(?<db>\d+).*)?$/

function unixAddress({
  user = '',
  password = '',
  path = '',
  db = '0',
}: Record<string, string | undefined>): RedisAddress {
  const options: RedisOptions = { path: decodeURIComponent(path) }
  if (user !== '') options.username = decodeURIComponent(user)
  if (password !== '') options.password = decodeURIComponent(password)
  if (Number(db) > 0) options.db = Number(db)
  return { url: undefined, options, shown: `unix://${options.path}` }
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
