import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

/** One request as the server saw it. */
export type SeenRequest = {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export type Reply = {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Uint8Array
  /** The connection is cut after so many bytes of the body. */
  readonly cutAfter?: number
  /** … and after so long, in which the client reads them: what lies unread when a connection breaks is lost. */
  readonly cutLaterMs?: number
  /** Nothing is answered at all. */
  readonly silent?: boolean
  /** The connection is cut instead of an answer. */
  readonly cut?: boolean
}

export type HttpLoop = {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly server: Server
  readonly seen: SeenRequest[]
  seenAt(pattern: RegExp): SeenRequest[]
  close(): Promise<void>
}

/** A server on which the test decides every answer. */
export async function startHttpLoop(
  answer: (request: SeenRequest, raw: IncomingMessage) => Reply | Promise<Reply>,
): Promise<HttpLoop> {
  const seen: SeenRequest[] = []
  const server = createServer((request, response) => void serve(request, response))

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return // the sender was killed in the middle
    }
    const one = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks),
    }
    seen.push(one)
    reply(response, await answer(one, request))
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    host: `127.0.0.1:${address.port}`,
    server,
    seen,
    seenAt: (pattern) => seen.filter(({ url }) => pattern.test(url)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function reply(
  response: ServerResponse,
  { status = 200, headers = {}, body = '', cutAfter, cutLaterMs = 0, ...no }: Reply,
): void {
  if (no.silent === true) return
  if (no.cut === true) {
    response.destroy()
    return
  }
  const bytes = Buffer.from(body)
  response.writeHead(status, { 'content-length': bytes.length, ...headers })
  if (cutAfter === undefined) {
    response.end(bytes)
    return
  }
  const cut = () => setTimeout(() => response.destroy(), cutLaterMs)
  response.write(bytes.subarray(0, cutAfter), cut)
}

/** A reply with a JSON body. */
export function json(value: unknown, status = 200): Reply {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) }
}
