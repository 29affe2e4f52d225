import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect as connectTls } from 'node:tls'
import { messageOf } from '../../../base/index.js'
import { inWords, networkCause, type Peer, peerOf } from '../index.js'

export type DiagnosisOptions = {
  /** `ws://host` or `wss://host`. */
  readonly url: string
  readonly path: string
  readonly ca: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

const MAX_TEXT = 4096
const TLS_PROBE_MS = 2000
const CREDENTIALS = 'set LOOP_USERNAME and LOOP_PASSWORD of an account that may connect'

/**
 * Why a socket cannot be opened, as a part of a sentence: its transports report little more than that they failed, so
 * the handshake is asked for once more by plain HTTP. Undefined when that succeeds. Never rejects.
 */
export async function diagnoseSocket(options: DiagnosisOptions): Promise<string | undefined> {
  const peer = peerOf(options.url)
  try {
    return await judge(await ask(options), peer)
  } catch (error) {
    return (await speaksTls(peer)) ?? networkCause(error, peer) ?? messageOf(error)
  }
}

type HandshakeAnswer = { readonly status: number; readonly location: string | undefined; readonly text: string }

function ask({ url, path, ca, headers, timeoutMs }: DiagnosisOptions): Promise<HandshakeAnswer> {
  const target = new URL(`${url.replace(/^ws/, 'http')}${path.replace(/\/?$/, '/')}?EIO=4&transport=polling`)
  const start = target.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const sent = start(target, { headers: { ...headers }, agent: false, ...(ca !== undefined && { ca }) })
    const timer = setTimeout(() => sent.destroy(new SilentError(peerOf(url), timeoutMs)), timeoutMs)
    sent.once('close', () => clearTimeout(timer))
    sent.on('error', reject)
    sent.once('response', (answer) => readAnswer(answer).then(resolve, reject))
    sent.end()
  })
}

class SilentError extends Error {
  constructor(peer: Peer, timeoutMs: number) {
    super(
      `${inWords(peer)} accepts connections but did not answer for ${timeoutMs / 1000} s; check LOOP_HOST and the Loop`,
    )
  }
}

async function readAnswer(answer: IncomingMessage): Promise<HandshakeAnswer> {
  let text = ''
  for await (const chunk of answer) {
    text += String(chunk)
    if (text.length > MAX_TEXT) break
  }
  answer.destroy()
  return { status: answer.statusCode ?? 0, location: answer.headers.location, text }
}

function judge({ status, location, text }: HandshakeAnswer, peer: Peer): string | undefined {
  const answered = `${inWords(peer)} answered ${status}${textIn(text)}`
  if (status === 401 || status === 403) return `${answered}; ${CREDENTIALS}`
  if (isEngine(text)) return undefined
  if (TO_TLS_PORT.test(text)) return `${inWords(peer)} speaks TLS; set LOOP_HOST to https://${peer.host}:${peer.port}`
  if (status >= 300 && status < 400)
    return `${answered} and leads to ${location ?? 'another address'}; set LOOP_HOST to that`
  if (status >= 500) return `${answered}: the Loop, or what is behind the proxy there, does not work`
  return `${answered}, which is no answer of a Loop; check LOOP_HOST, and that a proxy before the Loop passes /ws/socket.io/`
}

/** A handshake, or a refusal of one, by Engine.IO itself. */
function isEngine(text: string): boolean {
  return /^(\d+:)?0\{"sid"/.test(text) || /^\{"code":\d+,"message":/.test(text)
}

const TO_TLS_PORT = /plain HTTP request was sent to HTTPS port|HTTP request to an HTTPS server|SSL-enabled server port/i

function textIn(text: string): string {
  const line = text
    .replace(/<(style|script)[^>]*>.*?<\/\1>/gis, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return line === '' ? '' : ` (${line.length <= 120 ? line : `${line.slice(0, 117)}...`})`
}

/** Most TLS servers close a connection on which they are spoken to by plain HTTP. */
async function speaksTls(peer: Peer): Promise<string | undefined> {
  if (peer.isTls) return undefined
  const isTls = await new Promise<boolean>((resolve) => {
    const socket = connectTls({ host: peer.host, port: Number(peer.port), rejectUnauthorized: false })
    const timer = setTimeout(() => done(false), TLS_PROBE_MS)
    const done = (answer: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    socket.on('error', () => done(false))
    socket.once('secureConnect', () => done(true))
  })
  return isTls ? `${inWords(peer)} speaks TLS; set LOOP_HOST to https://${peer.host}:${peer.port}` : undefined
}
