import type { RedisOptions } from 'ioredis'
import { InvalidInputError } from '../../base/index.js'

export type RedisAddress = {
  /** For ioredis: an address it knows itself, or undefined when `options` say all. */
  readonly url: string | undefined
  readonly options: RedisOptions
  /** For people: never with a password. */
  readonly shown: string
}

/** Reads `redis://`, `rediss://`, `unix:///…` and a plain path; refuses the rest with a sentence. */
export function parseRedisUrl(url: string): RedisAddress {
  if (!isDecodable(url)) throw noAddress(IN_A_PASSWORD)
  const unix = UNIX.exec(url)?.groups
  if (unix !== undefined) return unixAddress(unix)
  const parsed = tryUrl(url)
  if (parsed !== undefined && isServer(parsed)) return { url, options: {}, shown: shownUrl(parsed) }
  throw noAddress(url.includes('@') ? IN_A_PASSWORD : '')
}

const IN_A_PASSWORD = '; in a password write # as %23, / as %2F, ? as %3F and % as %25'

/** The value may hold a password, so it is not repeated. */
function noAddress(hint: string): InvalidInputError {
  const kinds = 'redis://host:6379, rediss://… or unix:///path/redis.sock'
  return new InvalidInputError(`REDIS_URL is no Redis address; use ${kinds}${hint}.`)
}

// No URL as browsers know them: they allow no user where there is no host.
const UNIX = /^(?:unix:\/\/(?:(?<user>[^:@/]*):(?<password>[^/]*)@)?)?(?<path>\/[^?]*)(?:\?(?<query>.*))?$/

function unixAddress({ user = '', password = '', path = '', query }: Record<string, string | undefined>): RedisAddress {
  const options: RedisOptions = { path: decodeURIComponent(path) }
  const more = new URLSearchParams(query)
  const username = user === '' ? more.get('username') : decodeURIComponent(user)
  const secret = password === '' ? more.get('password') : decodeURIComponent(password)
  const db = more.get('db')
  if (username) options.username = username
  if (secret) options.password = secret
  if (Number(db) > 0) options.db = Number(db)
  return { url: undefined, options, shown: `unix://${options.path}` }
}

// What stands behind the host is the number of a database; anything else there may be the rest of a password that was
// cut at a / or #, and would be shown.
function isServer({ protocol, pathname, search, hash }: URL): boolean {
  if (protocol !== 'redis:' && protocol !== 'rediss:') return false
  return /^(\/\d*)?$/.test(pathname) && !search.includes('@') && hash === ''
}

function shownUrl(parsed: URL): string {
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`
}

// ioredis decodes what stands before the host, and falls over a lone %.
function isDecodable(url: string): boolean {
  try {
    return decodeURIComponent(url) !== ''
  } catch {
    return url === ''
  }
}

function tryUrl(url: string): URL | undefined {
  try {
    return new URL(url)
  } catch {
    return undefined // the caller says what is accepted
  }
}
