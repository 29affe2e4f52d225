import { ProtocolError, shown } from './protocol-error.js'

export type LoopAddress = {
  /** Base of the REST calls: `http://host/api`. */
  readonly rest: string
  /** Base of the socket: `ws://host`. */
  readonly socket: string
  readonly socketPath: '/ws/socket.io/'
}

/**
 * Finds a Loop by its host name, with or without port, or by an `http://` or `https://` URL. A bare name is reached by
 * https when it contains `learning-loop.ai`, else by http. Throws LF_BAD_LOOP_HOST.
 */
export function loopAddress(host: string): LoopAddress {
  const text = host.trim()
  const hasScheme = /^https?:\/\//i.test(text)
  const scheme = text.includes('learning-loop.ai') ? 'https' : 'http'
  const url = parseUrl(hasScheme ? text : `${scheme}://${text}`)
  const isPlain = url?.pathname === '/' && url.search === '' && url.hash === '' && url.username === ''
  if (url === undefined || !isPlain || url.password !== '' || url.hostname === '') throw badHost(host)
  if (LISTENS_EVERYWHERE.includes(url.hostname)) throw listeningHost(url.hostname)
  const secure = url.protocol === 'https:'
  return {
    rest: `${secure ? 'https' : 'http'}://${url.host}/api`,
    socket: `${secure ? 'wss' : 'ws'}://${url.host}`,
    socketPath: '/ws/socket.io/',
  }
}

// Containers set HOST, the older name of LOOP_HOST, for servers of theirs; a login must not go there.
const LISTENS_EVERYWHERE: readonly string[] = ['0.0.0.0', '[::]']

function listeningHost(hostname: string): ProtocolError {
  return new ProtocolError(
    'LF_BAD_LOOP_HOST',
    `The Loop's host must be an address of the Loop, got "${hostname}", at which a server listens on all addresses; set LOOP_HOST (its older name is HOST).`,
  )
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}

function badHost(host: string): ProtocolError {
  const shownHost = host.includes('@') ? 'an address with a user name' : shown(host)
  return new ProtocolError(
    'LF_BAD_LOOP_HOST',
    `The Loop's host must be a name, a name with port, or an http(s) URL without a path, got ${shownHost}.`,
  )
}
