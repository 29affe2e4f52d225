import type { IncomingMessage, Server } from 'node:http'

export type OriginRules = {
  /** Names, beside those of this machine, to which a server that is bound to loopback answers. */
  readonly allowedHosts?: readonly string[]
  /** False for a server that asks for a token instead, which no foreign name brings along. */
  readonly checksHost?: boolean
}

/** Each answers why a request is refused, or undefined. */
export type OriginCheck = {
  /** For REST: reading is free for every page, since a browser shows the answer to pages of this origin only. */
  ofRequest(request: IncomingMessage): string | undefined
  /** For a socket, which can read and change everything. */
  ofSocket(request: IncomingMessage, options?: { readonly anyPage?: boolean }): string | undefined
}

const READING = ['GET', 'HEAD', 'OPTIONS']

/**
 * A browser on this machine sends requests here for any page that it shows. So pages of other origins may not change
 * anything (`Origin`, `Sec-Fetch-Site`), and a server that only this machine reaches does not answer to a foreign
 * name, which a page could have made to point here (DNS rebinding).
 */
export function createOriginCheck(
  server: Server,
  { allowedHosts = [], checksHost = true }: OriginRules = {},
): OriginCheck {
  const allowed = allowedHosts.map((name) => name.toLowerCase())

  function refusalOfHost({ headers }: IncomingMessage): string | undefined {
    const { host } = headers
    if (host === undefined || !checksHost || !isBoundToLoopback(server)) return undefined // every browser names a host
    const name = nameOf(host)
    if (isLoopback(name) || allowed.includes(name)) return undefined
    return `This server does not answer to the name "${host}"; if it is yours, list it in LOOPFLEET_ALLOWED_HOSTS.`
  }

  return {
    ofRequest: (request) =>
      refusalOfHost(request) ?? (READING.includes(request.method ?? '') ? undefined : refusalOfPage(request, allowed)),
    ofSocket: (request, { anyPage = false } = {}) =>
      refusalOfHost(request) ?? (anyPage ? undefined : refusalOfPage(request, allowed)),
  }
}

/** Programs name no origin; a browser names that of its page, or `null` for a page without one. */
function refusalOfPage({ headers }: IncomingMessage, allowed: readonly string[]): string | undefined {
  const { origin } = headers
  const isOther = ['cross-site', 'same-site'].includes(String(headers['sec-fetch-site']))
  if (!isOther && (origin === undefined || isOwn(origin, headers, allowed))) return undefined
  const wayOut = 'if a proxy serves this server under that name, list it in LOOPFLEET_ALLOWED_HOSTS'
  return `Requests from pages of ${origin ?? 'another site'} are refused${isOther ? '' : `; ${wayOut}`}.`
}

/**
 * A proxy before us names the host in the page's address as `X-Forwarded-Host`, which no page can make a browser do; each of several
 * adds one. Some write the port that the scheme has anyway, and some name nothing, so that the operator lists the name.
 */
function isOwn(origin: string, headers: IncomingMessage['headers'], allowed: readonly string[]): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, hostname } = new URL(origin)
  const isUnnamed = isLoopback(nameOf(headers.host ?? '')) && !isLoopback(hostname)
  if (isUnnamed && allowed.includes(nameOf(hostname))) return true
  const named = [headers.host, headers['x-forwarded-host']].flat().flatMap((hosts) => hosts?.split(',') ?? [])
  const own = addressOf(origin)
  return named.some((each) => addressOf(`${protocol}//${each.trim()}`) === own)
}

/** Host and port, without the usual port of the scheme and the dot that ends a full name. */
function addressOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).host.replace(/\.(?=:|$)/, '') : undefined
}

/** In small letters, without its port and the dot that ends a full name. */
function nameOf(host: string): string {
  const name = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : host
  return name.toLowerCase().replace(/\.$/, '')
}

function isBoundToLoopback(server: Server): boolean {
  const bound = server.address()
  return typeof bound === 'object' && bound !== null && isLoopback(bound.address)
}

/** Whether an address or a name means this machine alone. */
export function isLoopback(host: string): boolean {
  return /^(localhost|.+\.localhost|\[?::1\]?|(::ffff:)?127(\.\d{1,3}){3})$/.test(host)
}
