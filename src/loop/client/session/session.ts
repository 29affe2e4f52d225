import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { backOffMs, InvalidInputError, messageOf } from '../../../base/index.js'
import type { Logger } from '../../../base/logger/index.js'
import { type LoopAddress, loopAddress, paths } from '../../protocol/index.js'
import { sleepUnlessAborted, unlessAborted } from './abort-signals.js'
import { readBody, readDetail } from './answer-body.js'
import { createLoginCookies } from './cookies.js'
import { LoopAnswerError, LoopClosedError, LoopLoginError, LoopRequestError } from './errors.js'
import type { MultipartBody } from './multipart.js'
import { createTransport, type RawResponse } from './transport.js'

export type LoopSessionOptions = {
  /** Host name with optional port, or a whole http(s) address. */
  readonly host: string
  readonly username?: string
  readonly password?: string
  /** PEM file of the authority that signed the Loop's certificate. */
  readonly sslCertPath?: string
  /** Longest silence of the Loop within one request. */
  readonly timeoutMs?: number
  /** Longest wait that an answer 429 may ask for. */
  readonly retryAfterMaxMs?: number
  /** Most attempts of a request that the Loop answers with 429; then it fails. */
  readonly tooManyAttempts?: number
  /** Interval in which the Loop is asked whether it is ready. */
  readonly readyEveryMs?: number
}

export type LoopRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Path below `/api`, see `paths`. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: unknown
  readonly multipart?: MultipartBody
  /** False for requests that need no login; after a 401 there is one nevertheless. */
  readonly login?: boolean
  /** `throw` fails on a 429 immediately, for callers that slow down themselves. */
  readonly onTooMany?: 'wait' | 'throw'
  readonly accept?: (status: number) => boolean
  readonly maxBytes?: number
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export type LoopResponse = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** One identity at one Loop: its cookies, its keep-alive connections and the rules for 401 and 429. */
export type LoopSession = {
  /** `host:port`, for people. */
  readonly host: string
  readonly address: LoopAddress
  /** The certificate authority for the socket's TLS. */
  readonly ca: string | undefined
  readonly hasCredentials: boolean
  /** Sends and reads the whole answer; throws LoopRequestError for every status but 200 (or what `accept` takes). */
  request(request: LoopRequest): Promise<LoopResponse>
  /** The same without reading the body, which the caller must read or discard. */
  open(request: LoopRequest): Promise<RawResponse>
  /** Logs in again; calls during a login share it. Does nothing without credentials. */
  login(options?: { readonly signal?: AbortSignal }): Promise<void>
  cookieHeader(): string | undefined
  /** Resolves when `GET /status` answers 200; polls without limit. */
  waitUntilReady(options: { readonly signal?: AbortSignal }): Promise<void>
  close(): void
}

const MAX_BODY_BYTES = 256 * 1024 * 1024

export function createLoopSession(options: LoopSessionOptions, deps: { readonly log: Logger }): LoopSession {
  const { timeoutMs = 60_000, retryAfterMaxMs = 60_000, tooManyAttempts = 8, readyEveryMs = 10_000 } = options
  const log = deps.log.child({ component: 'loop-session' })
  const address = loopAddress(options.host)
  const host = new URL(address.rest).host
  const ca = options.sslCertPath === undefined ? undefined : readCertificate(options.sslCertPath)
  const transport = createTransport({ baseUrl: address.rest, ca })
  const closed = new AbortController()
  const { username, password } = options
  const credentials = username && password ? { username, password } : undefined

  let cookies = createLoginCookies(host)
  let loginCount = 0
  let loggedIn = false
  let loginUnderWay: Promise<void> | undefined

  function login(loginOptions: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (credentials === undefined) return Promise.resolve()
    loginUnderWay ??= logIn(credentials).finally(() => {
      loginUnderWay = undefined
    })
    return unlessAborted(loginUnderWay, loginOptions.signal)
  }

  async function logIn(account: { readonly username: string; readonly password: string }): Promise<void> {
    const fresh = createLoginCookies(host)
    const response = await waitingOn429({ signal: closed.signal }, () =>
      sendOnce({
        method: 'POST',
        path: paths.login(),
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(account).toString(),
      }),
    )
    if (response.status !== 200) {
      loggedIn = false
      cookies = fresh
      const detail = redact(await readDetail(response))
      throw new LoopLoginError({ host, username: account.username, status: response.status, detail })
    }
    await fresh.take(response.setCookies)
    response.discard()
    cookies = fresh
    loggedIn = true
    loginCount += 1
    log.debug({ host }, 'logged in')
  }

  async function open(request: LoopRequest): Promise<RawResponse> {
    const response = await waitingOn429(request, () => sendLoggedIn(request))
    const accept = request.accept ?? ((status: number) => status === 200)
    if (accept(response.status)) return response
    const detail = redact(await readDetail(response))
    const wait = retryAfterMs(response.headers, retryAfterMaxMs)
    const { method, path } = request
    throw new LoopRequestError({
      method,
      path,
      status: response.status,
      detail,
      ...(wait !== undefined && { retryAfterMs: wait }),
    })
  }

  async function sendLoggedIn(request: LoopRequest): Promise<RawResponse> {
    const { signal } = request
    if (request.login !== false && credentials !== undefined && !loggedIn) await login({ signal })
    const loginBefore = loginCount
    const response = await send(request)
    if (response.status !== 401 || credentials === undefined) return response
    response.discard()
    // Parallel requests all get a 401; the first one logs in for all of them.
    if (loginCount === loginBefore) await login({ signal })
    return send(request)
  }

  async function send(request: LoopRequest): Promise<RawResponse> {
    const cookie = cookies.header()
    const used = cookies
    try {
      const response = await sendOnce({
        ...request,
        headers: {
          ...(request.json !== undefined && { 'content-type': 'application/json' }),
          ...request.headers,
          ...(cookie !== undefined && { cookie }),
        },
        body: request.json === undefined ? request.multipart : JSON.stringify(request.json),
      })
      await used.take(response.setCookies)
      return response
    } catch (error) {
      // A server that refuses a long upload early (a session has expired) may close before its answer can be read.
      if (request.multipart !== undefined) loggedIn = false
      throw error
    }
  }

  async function sendOnce(request: {
    readonly method: string
    readonly path: string
    readonly headers: Readonly<Record<string, string>>
    readonly body?: string | MultipartBody
    readonly timeoutMs?: number
    readonly signal?: AbortSignal
  }): Promise<RawResponse> {
    if (closed.signal.aborted) throw new LoopClosedError()
    const { method, path, headers, body } = request
    const signals = request.signal === undefined ? [closed.signal] : [request.signal, closed.signal]
    const explain = (problem: string) => {
      const detail = redact(problem)
      return new LoopRequestError({ method, path, detail }, { cause: new Error(detail) })
    }
    return transport.send({ method, path, headers, body, idleMs: request.timeoutMs ?? timeoutMs, signals, explain })
  }

  /** Repeats the request, with pauses, while the Loop answers 429. */
  async function waitingOn429(
    request: { readonly onTooMany?: 'wait' | 'throw'; readonly signal?: AbortSignal },
    attemptOnce: () => Promise<RawResponse>,
  ): Promise<RawResponse> {
    for (let attempt = 1; ; attempt += 1) {
      const response = await attemptOnce()
      if (response.status !== 429 || request.onTooMany === 'throw' || attempt >= tooManyAttempts) return response
      response.discard()
      const asked = retryAfterMs(response.headers, retryAfterMaxMs)
      const waitMs = asked ?? backOffMs(attempt, { maxMs: retryAfterMaxMs })
      log.debug({ waitMs, attempt }, 'the Loop answers 429; waiting')
      await sleepUnlessAborted(waitMs, request.signal === undefined ? [closed.signal] : [request.signal, closed.signal])
    }
  }

  async function waitUntilReady({ signal }: { readonly signal?: AbortSignal }): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted()
      try {
        await request({
          method: 'GET',
          path: paths.status(),
          login: false,
          signal,
          timeoutMs: Math.min(timeoutMs, 20_000),
        })
        return
      } catch (error) {
        if (signal?.aborted === true || closed.signal.aborted) throw error
        if (attempt === 1) log.warn({ host, reason: messageOf(error) }, 'the Loop is not ready')
      }
      const waitMs = backOffMs(attempt, { firstMs: Math.min(250, readyEveryMs), maxMs: readyEveryMs })
      await sleepUnlessAborted(waitMs, signal === undefined ? [closed.signal] : [signal, closed.signal])
    }
  }

  async function request(what: LoopRequest): Promise<LoopResponse> {
    const response = await open(what)
    const body = await readBody(response, what.maxBytes ?? MAX_BODY_BYTES)
    if (body === 'too-big') throw new LoopAnswerError({ call: `${what.method} ${what.path}`, problem: 'it is too big' })
    return { status: response.status, headers: response.headers, body }
  }

  /** Removes the password and the cookies: a server may repeat them in its answer, and they must not be in an error. */
  function redact(text: string): string {
    const secrets = [password ?? '', ...cookies.values()].filter((secret) => secret.length >= 3)
    return secrets.reduce((clean, secret) => clean.replaceAll(secret, '***'), text)
  }

  return {
    host,
    address,
    ca,
    hasCredentials: credentials !== undefined,
    request,
    open,
    login,
    cookieHeader: () => cookies.header(),
    waitUntilReady,
    close() {
      closed.abort(new LoopClosedError())
      transport.close()
    },
  }
}

function readCertificate(path: string): string {
  const certificates = readText(path)
  try {
    new X509Certificate(certificates) // reads the first one; the rest of a bundle is for the TLS library
    return certificates
  } catch (cause) {
    throw new InvalidInputError(
      `The certificate file "${path}" holds no certificate; set LOOP_SSL_CERT_PATH to a PEM file.`,
      { cause },
    )
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new InvalidInputError(
      `The certificate file "${path}" cannot be read; set LOOP_SSL_CERT_PATH to a PEM file.`,
      { cause },
    )
  }
}

/** The wait of a `Retry-After` header (seconds or a date), between 0.1 s and the limit; undefined without one. */
function retryAfterMs(headers: Readonly<Record<string, string>>, maxMs: number): number | undefined {
  const text = headers['retry-after']?.trim()
  if (text === undefined || text === '') return undefined
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : untilDate(text, headers.date)
  return ms === undefined ? undefined : Math.min(Math.max(ms, 100), maxMs)
}

/** By the clock of the Loop if the answer has its date, since the clock of this machine may be wrong. */
function untilDate(text: string, now: string | undefined): number | undefined {
  const until = Date.parse(text)
  if (Number.isNaN(until)) return undefined
  const from = now === undefined ? Number.NaN : Date.parse(now)
  return until - (Number.isNaN(from) ? Date.now() : from)
}
