import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'

type UpgradeListener = (request: IncomingMessage, socket: Socket, head: Buffer) => void

/**
 * Lets only WebSockets of one path upgrade a connection; every other request with an `Upgrade` header, such as the
 * offer of HTTP/2 by Java's client, .NET's or curl's, is answered as if it had none (RFC 9110, 7.8). Node hands all of
 * them, with the body unread, to the 'upgrade' listeners as soon as there is one.
 */
export function keepUpgradesTo(path: string, server: Server, upgrade: UpgradeListener): void {
  server.removeAllListeners('upgrade')
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (isWebSocketOf(path, request)) upgrade(request, socket, head)
    else readAgain(server, request, socket, head)
  })
}

/**
 * The same for a server without WebSockets. Left alone, Node answers such a request, but drops what has come behind it
 * in one read, such as the next request.
 */
export function refuseUpgrades(server: Server): void {
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    readAgain(server, request, socket, head)
  })
}

function isWebSocketOf(path: string, { url = '', headers }: IncomingMessage): boolean {
  const pathname = url.split('?')[0] ?? ''
  return headers.upgrade?.toLowerCase() === 'websocket' && (pathname === path || pathname.startsWith(`${path}/`))
}

/** Puts the head without the offer back before what has come of the body, and gives the connection to the server again. */
function readAgain(server: Server, request: IncomingMessage, socket: Socket, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2)
    const kept = name.toLowerCase() === 'connection' ? withoutOffer(value) : value
    if (name.toLowerCase() !== 'upgrade' && kept !== '') lines.push(`${name}: ${kept}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}

function withoutOffer(connection: string): string {
  const options = connection.split(',').map((option) => option.trim())
  return options.filter((option) => !/^(upgrade|http2-settings)$/i.test(option)).join(', ')
}
