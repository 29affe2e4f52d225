import { ClientRequest, Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { Readable } from 'node:stream'
import axios, { type AxiosInstance } from 'axios'
import type { MultipartBody, OpenMultipart } from './multipart.js'
import { networkCause, peerOf } from './network-cause.js'
import { createWatchdog, type Watchdog } from './watchdog.js'

/** One HTTP exchange as it goes over the wire; every status is an answer, no redirect is followed. */
type RawRequest = {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | MultipartBody
  /** Longest time without a sign of the other side: until the first byte, and between two of them. */
  readonly idleMs: number
  readonly signals: readonly AbortSignal[]
  /** Makes the error of a failure below HTTP, or of an answer that breaks off. */
  readonly explain: (problem: string) => Error
}

type SentRequest = RawRequest & { readonly baseUrl: string }

export type RawResponse = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly setCookies: readonly string[]
  /** Read it to the end, leave the loop, or call `discard`: else the connection stays taken. */
  readonly body: AsyncIterable<Buffer>
  discard(): void
}

export type Transport = {
  send(request: RawRequest): Promise<RawResponse>
  close(): void
}

// Many servers close idle connections after 5 s without saying so; a connection that is given up before that is never
// used in the moment it dies.
const FREE_SOCKET_MS = 4000
const SMALL_BODY_BYTES = 64 * 1024
// axios sets this for every request; another value here would cost system calls on every one of them.
const AXIOS_KEEP_ALIVE_MS = 60_000

/** axios on keep-alive agents, streaming in both directions, with errors that hold neither headers nor configuration. */
export function createTransport(options: { readonly baseUrl: string; readonly ca?: string }): Transport {
  const agentOptions = {
    keepAlive: true,
    keepAliveMsecs: AXIOS_KEEP_ALIVE_MS,
    maxSockets: 64,
    timeout: FREE_SOCKET_MS,
    scheduling: 'lifo',
  } as const
  const httpAgent = new HttpAgent(agentOptions)
  const httpsAgent = new HttpsAgent({ ...agentOptions, ca: options.ca })
  const http = axios.create({
    adapter: 'http',
    baseURL: options.baseUrl,
    httpAgent,
    httpsAgent,
    proxy: false,
    maxRedirects: 0, // a redirect could carry the cookie to another host
    maxBodyLength: -1,
    maxContentLength: -1,
    timeout: 0, // the watchdog sees idleness, axios only the whole time
    responseType: 'stream',
    transformRequest: [(data) => data],
    transformResponse: [(data) => data],
    validateStatus: () => true,
  })

  return {
    send: (raw) => exchange(http, { ...raw, baseUrl: options.baseUrl }),
    close() {
      httpAgent.destroy()
      httpsAgent.destroy()
    },
  }
}

async function exchange(http: AxiosInstance, request: SentRequest): Promise<RawResponse> {
  const watchdog = createWatchdog(request)
  const upload = typeof request.body === 'object' ? await openUpload(request.body, watchdog) : undefined
  try {
    watchdog.kick()
    const response = await http.request<unknown>({
      method: request.method,
      url: request.path,
      headers: { ...request.headers, ...upload?.headers },
      data: upload?.stream ?? request.body,
      signal: watchdog.signal,
    })
    if (!(response.data instanceof Readable)) throw new Error('the answer has no body stream')
    watchdog.rest()
    const { status, headers, data: stream, request: sent } = response
    return toRawResponse({ status, headers, stream, sent, watchdog, request })
  } catch (error) {
    watchdog.end()
    throw toFailure(error, watchdog, request)
  } finally {
    upload?.close()
  }
}

/** Problems of our own disk stay what they are: the network has nothing to do with them. */
async function openUpload(body: MultipartBody, watchdog: Watchdog): Promise<OpenMultipart> {
  try {
    return await body.open(() => watchdog.kick())
  } catch (error) {
    watchdog.end()
    throw error
  }
}

type Arrived = {
  readonly status: number
  readonly headers: object
  readonly stream: Readable
  /** The request that it answers. */
  readonly sent: unknown
  readonly watchdog: Watchdog
  readonly request: SentRequest
}

function toRawResponse(arrived: Arrived): RawResponse {
  const { stream, watchdog } = arrived
  // An answer nobody reads on must not bring the program down when its connection breaks.
  stream.on('error', () => undefined)
  const headers: Record<string, string> = {}
  let setCookies: readonly string[] = []
  for (const [name, value] of Object.entries(arrived.headers)) {
    if (name.toLowerCase() === 'set-cookie') setCookies = [value].flat().map(String)
    else headers[name.toLowerCase()] = String(value)
  }
  return {
    status: arrived.status,
    headers,
    setCookies,
    body: guarded(arrived),
    discard() {
      if (stream.readableEnded || stream.destroyed || !(Number(headers['content-length']) <= SMALL_BODY_BYTES)) {
        finish(arrived)
        return
      }
      // Reading on is cheaper than a new connection.
      watchdog.kick()
      stream.once('close', () => finish(arrived)).resume()
    },
  }
}

async function* guarded(arrived: Arrived): AsyncGenerator<Buffer> {
  const { stream, watchdog, request } = arrived
  try {
    watchdog.kick()
    for await (const chunk of stream) {
      watchdog.rest() // a slow reader is not a slow Loop
      yield chunk
      watchdog.kick()
    }
  } catch (error) {
    throw toFailure(error, watchdog, request)
  } finally {
    finish(arrived)
  }
}

function finish({ sent, stream, watchdog }: Arrived): void {
  watchdog.end()
  stream.destroy()
  // A Loop that answers before it has taken the whole upload leaves a connection that is good for nothing.
  if (sent instanceof ClientRequest && !sent.writableFinished) sent.destroy()
}

/** The caller's reason when it asked to end; else the bare sentence, since an AxiosError holds cookie and password. */
function toFailure(error: unknown, watchdog: Watchdog, request: SentRequest): unknown {
  const cause = watchdog.cause()
  if (cause?.kind === 'asked') return cause.reason
  if (cause?.kind === 'idle') return request.explain(`no sign of life for ${cause.idleMs / 1000} s`)
  if (!(error instanceof Error)) return request.explain(String(error))
  const problem = networkCause(error, peerOf(request.baseUrl))
  if (problem !== undefined) return request.explain(problem)
  const code = 'code' in error ? String(error.code) : error.name
  return request.explain(error.message === '' ? code : error.message)
}
