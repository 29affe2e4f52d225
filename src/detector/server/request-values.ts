import type { FastifyRequest } from 'fastify'
import type { Dialect } from '../../loop/protocol/index.js'
import { fieldError } from '../serving/errors.js'
import { type DetectFacts, type GivenFacts, toImageFacts } from '../serving/image-facts.js'

/**
 * A value that a client may send as a header or in the query, spelled with hyphens or underscores: the documentation
 * of the Python library shows spellings that its code does not read. The header counts first.
 */
export function givenValue(request: FastifyRequest, name: string): string | undefined {
  const hyphens = name.replaceAll('_', '-')
  const underscores = name.replaceAll('-', '_')
  for (const key of [hyphens, underscores]) {
    const header = request.headers[key]
    const text = Array.isArray(header) ? header[0] : header
    if (text !== undefined) return readableHeader(text)
  }
  const query: unknown = request.query
  if (typeof query !== 'object' || query === null) return undefined
  for (const key of [underscores, hyphens]) {
    const value: unknown = Object.hasOwn(query, key) ? Reflect.get(query, key) : undefined
    const first: unknown = Array.isArray(value) ? value[0] : value
    if (typeof first === 'string') return first
  }
  return undefined
}

/** True for `true`, `1`, `yes` and `on`; false when missing. Throws a 422 for what is neither. */
export function flagOf(request: FastifyRequest, name: string): boolean {
  const given = givenValue(request, name)
  const text = (given ?? 'false').trim().toLowerCase()
  if (['true', '1', 'yes', 'on'].includes(text)) return true
  if (['false', '0', 'no', 'off', ''].includes(text)) return false
  throw fieldError('query', name, `must be true or false, got ${JSON.stringify(text.slice(0, 60))}.`)
}

/** What the headers and the query say about the image. */
export function factsOf(request: FastifyRequest, dialect: Dialect): DetectFacts {
  const given: GivenFacts = {
    cameraId: givenValue(request, 'camera_id') ?? givenValue(request, 'mac'),
    tags: givenValue(request, 'tags')?.split(','),
    source: givenValue(request, 'source'),
    creationDate: givenValue(request, 'creation_date'),
    autoupload: givenValue(request, 'autoupload'),
  }
  return toImageFacts(given, dialect)
}

/** The body of a request that carries one word, with or without quotes. */
export function wordOf(body: unknown): string {
  return typeof body === 'string' ? body.trim().replace(/^"(.*)"$/s, '$1') : ''
}

// HTTP hands headers on as Latin-1; many clients write UTF-8.
function readableHeader(text: string): string {
  if (!/[\u0080-\u00ff]/.test(text)) return text
  const utf8 = Buffer.from(text, 'latin1').toString('utf8')
  return utf8.includes('\ufffd') ? text : utf8
}
