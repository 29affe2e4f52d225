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
    const name = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : host
    if (isLoopback(name) || allowed.includes(name.toLowerCase())) return undefined
    return `This server does not answer to the name "${host}"; if it is yours, list it in LOOPFLEET_ALLOWED_HOSTS.`
  }

  return {
    ofRequest: (request) =>
      refusalOfHost(request) ?? (READING.includes(request.method ?? '') ? undefined : refusalOfPage(request)),
    ofSocket: (request, { anyPage = false } = {}) =>
      refusalOfHost(request) ?? (anyPage ? undefined : refusalOfPage(request)),
  }
}

/** Programs name no origin; a browser names that of its page, or `null` for a page without one. */
function refusalOfPage({ headers }: IncomingMessage): string | undefined {
  const { origin } = headers
  const isOther = ['cross-site', 'same-site'].includes(String(headers['sec-fetch-site']))
  if (!isOther && (origin === undefined || isOwn(origin, headers))) return undefined
  return `Requests from pages of ${origin ?? 'another site'} are refused.`
}

/** A proxy before us names the host in the page's address as `X-Forwarded-Host`, which no page can make a browser do. */
function isOwn(origin: string, headers: IncomingMessage['headers']): boolean {
  const hosts = [headers.host, headers['x-forwarded-host']].flat().map((host) => host?.toLowerCase())
  return URL.canParse(origin) && hosts.includes(new URL(origin).host)
}

function isBoundToLoopback(server: Server): boolean {
  const bound = server.address()
  return typeof bound === 'object' && bound !== null && isLoopback(bound.address)
}

/** Whether an address or a name means this machine alone. */
export function isLoopback(host: string): boolean {
  return /^(localhost|.+\.localhost|\[?::1\]?|(::ffff:)?127(\.\d{1,3}){3})$/.test(host)
}
