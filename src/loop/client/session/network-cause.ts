/** Where a request went: host and port as people write them. */
export type Peer = { readonly host: string; readonly port: string; readonly isTls: boolean }

export function peerOf(url: string): Peer {
  const { hostname, port, protocol } = new URL(url)
  const isTls = protocol === 'https:' || protocol === 'wss:'
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port || (isTls ? '443' : '80'), isTls }
}

/** `loop.lab port 8000`. */
export function inWords({ host, port }: Peer): string {
  return `${host} port ${port}`
}

/**
 * Why no answer came, with host, port and the way out, as a part of a sentence; undefined for an error that is not about
 * the network.
 */
export function networkCause(error: unknown, peer: Peer): string | undefined {
  const { code, message } = factsOf(error)
  const cause = causeOf(code, message, peer)
  return cause === undefined ? undefined : `${cause} (${code})`
}

function causeOf(code: string, message: string, peer: Peer): string | undefined {
  const at = inWords(peer)
  switch (code) {
    case 'ENOTFOUND':
      return `DNS does not know the host name "${peer.host}"; check LOOP_HOST`
    case 'EAI_AGAIN':
      return `no name server answered for "${peer.host}"; check LOOP_HOST and the network of this host`
    case 'ECONNREFUSED':
      return `nothing listens on ${at}; check the port in LOOP_HOST and that the Loop runs`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return `there is no route to ${at}; check LOOP_HOST and the network of this host`
    case 'ETIMEDOUT':
      return `${at} did not accept the connection; check LOOP_HOST, and firewalls between`
    case 'ECONNRESET':
    case 'EPIPE':
      return `${at} closed the connection without an answer`
    default:
      return tlsCause(code, message, peer) ?? (code.startsWith('HPE_') ? noWebServer(peer) : undefined)
  }
}

function tlsCause(code: string, message: string, peer: Peer): string | undefined {
  const at = inWords(peer)
  if (UNKNOWN_AUTHORITY.has(code)) {
    return `the certificate of ${at} is not signed by an authority that this host knows; set LOOP_SSL_CERT_PATH to the PEM file of its authority`
  }
  if (code === 'CERT_HAS_EXPIRED')
    return `the certificate of ${at} has expired; renew it, and check the clock of this host`
  if (code === 'CERT_NOT_YET_VALID') return `the certificate of ${at} is not valid yet; check the clock of this host`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = /altnames: (.*)$/.exec(message.replace(/^.*is not in the cert's /, ''))?.[1] ?? 'another host'
    return `the certificate of ${at} is for ${names}; set LOOP_HOST to a name of the certificate`
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    if (!SPEAKS_NO_TLS.test(message)) return `the TLS handshake with ${at} failed`
    return `${at} speaks no TLS; set LOOP_HOST to http://${peer.host}:${peer.port}`
  }
  return undefined
}

const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])
const SPEAKS_NO_TLS = /wrong version number|packet length too long|http request|unknown protocol/i

function noWebServer(peer: Peer): string {
  return `${inWords(peer)} does not speak HTTP, so it is no Loop; check the port in LOOP_HOST`
}

function factsOf(error: unknown): { readonly code: string; readonly message: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return { code, message: error.message }
}
