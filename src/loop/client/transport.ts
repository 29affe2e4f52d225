import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { Readable } from 'node:stream'
import axios, { type AxiosInstance } from 'axios'
import type { MultipartBody } from './multipart.js'
import { createWatchdog, type Watchdog } from './watchdog.js'

/** One HTTP exchange as it goes over the wire; every status is an answer, no redirect is followed. */
export type RawRequest = {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | MultipartBody
  /** Longest time without a sign of the other side: until the first byte, and between two of them. */
  readonly idleMs: number
  readonly signals: readonly AbortSignal[]
}

export type RawResponse = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly setCookies: readonly string[]
  /** Read it to the end, leave the loop, or call `discard`: else the connection stays taken. */
  readonly body: AsyncIterable<Buffer>
  discard(): void
}

/** The exchange failed below HTTP. `bodySent` tells that a streamed body had begun, so the Loop may have answered early. */
export class NetworkFailure extends Error {
  readonly timedOut: boolean
  constructor(message: string, timedOut: boolean) {
    super(message)
    this.timedOut = timedOut
  }
}

export type Transport = {
  send(request: RawRequest): Promise<RawResponse>
  close(): void
}

// Many servers close idle connections after 5 s without saying so; a connection that is given up before that is never
// used in the moment it dies.
const FREE_SOCKET_MS = 4000

/** axios on keep-alive agents, streaming in both directions, with errors that hold neither headers nor configuration. */
export function createTransport(options: { readonly baseUrl: string; readonly ca?: string }): Transport {
  const agentOptions = { keepAlive: true, maxSockets: 64, timeout: FREE_SOCKET_MS, scheduling: 'lifo' } as const
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
    send: (request) => exchange(http, request),
    close() {
      httpAgent.destroy()
      httpsAgent.destroy()
    },
  }
}

async function exchange(http: AxiosInstance, request: RawRequest): Promise<RawResponse> {
  const watchdog = createWatchdog(request)
  const upload = typeof request.body === 'object' ? await request.body.open(() => watchdog.kick()) : undefined
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
    return toRawResponse(response.status, response.headers, response.data, watchdog)
  } catch (error) {
    watchdog.end()
    throw toFailure(error, watchdog)
  } finally {
    upload?.close()
  }
}

function toRawResponse(status: number, headers: object, stream: Readable, watchdog: Watchdog): RawResponse {
  // An answer nobody reads on must not bring the program down when its connection breaks.
  stream.on('error', () => undefined)
  const flat: Record<string, string> = {}
  let setCookies: readonly string[] = []
  for (const [name, value] of Object.entries(headers)) {
    if (name.toLowerCase() === 'set-cookie') setCookies = [value].flat().map(String)
    else flat[name.toLowerCase()] = String(value)
  }
  return {
    status,
    headers: flat,
    setCookies,
    body: guarded(stream, watchdog),
    discard() {
      watchdog.end()
      stream.destroy()
    },
  }
}

async function* guarded(stream: Readable, watchdog: Watchdog): AsyncGenerator<Buffer> {
  try {
    watchdog.kick()
    for await (const chunk of stream) {
      watchdog.rest() // a slow reader is not a slow Loop
      yield chunk
      watchdog.kick()
    }
  } catch (error) {
    throw toFailure(error, watchdog)
  } finally {
    watchdog.end()
    stream.destroy()
  }
}

/** The caller's reason when it asked to end; else the bare sentence, since an AxiosError holds cookie and password. */
function toFailure(error: unknown, watchdog: Watchdog): unknown {
  const cause = watchdog.cause()
  if (cause?.kind === 'asked') return cause.reason
  if (cause?.kind === 'idle') return new NetworkFailure(`no sign of life for ${cause.idleMs / 1000} s`, true)
  const { code, message } =
    error instanceof Error
      ? Object.assign({ code: '' }, error, { message: error.message })
      : { code: '', message: String(error) }
  return new NetworkFailure(message === '' ? String(code) : message, false)
}
