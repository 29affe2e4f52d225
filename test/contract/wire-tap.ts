import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { readWebSocketTexts } from './web-socket-text.js'

export type TappedRequest = {
  readonly method: string
  /** Path without the query. */
  readonly path: string
  readonly query: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  readonly status: number
}

/** A Socket.IO event or an answer to one; an answer's name is that of the event it answers. */
export type TappedMessage = {
  readonly from: 'node' | 'loop'
  readonly kind: 'event' | 'answer'
  readonly name: string
  readonly args: readonly unknown[]
}

export type WireTap = {
  /** Host and port under which the Loop is to be reached, so that all is seen. */
  readonly host: string
  readonly requests: readonly TappedRequest[]
  /** Headers with which sockets were opened. */
  readonly handshakes: readonly IncomingMessage['headers'][]
  readonly messages: readonly TappedMessage[]
  close(): Promise<void>
}

type Side = TappedMessage['from']

/** A proxy between one node and a Loop that notes all that passes and changes nothing but to forbid compression. */
export async function tapWire(loopHost: string): Promise<WireTap> {
  const [hostname, port] = loopHost.split(':')
  const requests: TappedRequest[] = []
  const messages: TappedMessage[] = []
  const handshakes: IncomingMessage['headers'][] = []
  const asked = new Map<string, string>()
  const note = (from: Side) => (text: string) => {
    for (const packet of text.split('\u001e')) {
      const message = readPacket(packet, from, asked)
      if (message !== undefined) messages.push(message)
    }
  }
  const forward = ({ method, url, headers }: IncomingMessage) =>
    request({ hostname, port, method, path: url, headers: { ...headers, 'accept-encoding': 'identity' } })

  const noteHandshake = ({ url = '', headers }: IncomingMessage) => {
    if (url.startsWith('/ws/') && !url.includes('sid=')) handshakes.push(headers)
  }
  const server = createServer((incoming, response) => void pass(incoming, response))
  const pass = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    noteHandshake(incoming)
    const body = await buffer(incoming)
    const [path = '', query = ''] = (incoming.url ?? '').split('?')
    const onward = forward(incoming)
    onward.on('error', () => response.destroy())
    onward.on('response', async (answer) => {
      const bytes = await buffer(answer)
      response.writeHead(answer.statusCode ?? 502, answer.headers).end(bytes)
      if (path.startsWith('/ws/')) {
        note('node')(`${body}`)
        note('loop')(`${bytes}`)
        return
      }
      const { method = '', headers } = incoming
      requests.push({ method, path, query, headers, body, status: answer.statusCode ?? 502 })
    })
    onward.end(body)
  }

  const upgraded = new Set<Duplex>()
  server.on('upgrade', (incoming, node: Duplex, head: Buffer) => {
    noteHandshake(incoming)
    const onward = forward(incoming)
    onward.on('error', () => node.destroy())
    onward.on('upgrade', (answer, loop: Duplex, first: Buffer) => {
      const lines = [...pairs(answer.rawHeaders)].map(([name, value]) => `${name}: ${value}\r\n`)
      node.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`)
      for (const [from, to, name, ahead] of [
        [node, loop, 'node', head],
        [loop, node, 'loop', first],
      ] as const) {
        upgraded.add(from)
        from.on('error', () => to.destroy()).on('close', () => to.destroy())
        readWebSocketTexts(from, note(name))
        from.pipe(to)
        if (ahead.length > 0) from.unshift(ahead)
      }
    })
    onward.end()
  })

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const close = async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of upgraded) socket.destroy()
    server.closeAllConnections()
    await closed
  }
  return { host: `127.0.0.1:${address.port}`, requests, messages, handshakes, close }
}

/** `42<number>["event", …]` and `43<number>[…]` of the default namespace; undefined for all else. */
function readPacket(packet: string, from: Side, asked: Map<string, string>): TappedMessage | undefined {
  const [, type, number = '', json] = /^4([23])(\d*)(\[.*\])$/s.exec(packet) ?? []
  if (json === undefined) return undefined
  const list: unknown[] = JSON.parse(json)
  if (type === '2') {
    const [name, ...args] = list
    asked.set(`${from} ${number}`, String(name))
    return { from, kind: 'event', name: String(name), args }
  }
  const asker = from === 'loop' ? 'node' : 'loop'
  return { from, kind: 'answer', name: asked.get(`${asker} ${number}`) ?? '', args: list }
}

function* pairs(rawHeaders: readonly string[]): Generator<[string, string]> {
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) yield [rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '']
}
