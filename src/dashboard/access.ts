import { createHash, timingSafeEqual } from 'node:crypto'
import { parseCookie, stringifySetCookie } from 'cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isLoopback } from '../base/http/index.js'
import { InvalidInputError } from '../base/index.js'
import { RequestRefusedError } from './errors.js'

export type AccessOptions = {
  /** The address the dashboard is bound to. */
  readonly host: string
  /** Who has it may look and act; nobody is asked for one without it, which is for this machine only. */
  readonly token?: string
}

const COOKIE = 'loopfleet_dashboard'

/** Throws LF_INVALID_INPUT when other machines could reach a dashboard that asks for nothing. */
export function checkAccess({ host, token }: AccessOptions): void {
  if (token !== undefined || isLoopback(host)) return
  throw new InvalidInputError(
    `A dashboard on ${host} could be used by everybody; set LOOPFLEET_DASHBOARD_TOKEN, or bind it to 127.0.0.1.`,
  )
}

/** Lets in who has the token; without one, the server's own rules about pages and names are all. */
export function registerAccess(app: FastifyInstance, token: string | undefined): void {
  if (token !== undefined) app.addHook('onRequest', (request, reply) => askForToken(token, request, reply))
}

async function askForToken(token: string, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (isSame(bearer, token) || isSame(parseCookie(request.headers.cookie ?? '')[COOKIE], markOf(token))) return
  const url = new URL(request.url, 'http://dashboard')
  if (request.method === 'GET' && isSame(url.searchParams.get('token') ?? undefined, token)) {
    url.searchParams.delete('token') // out of the address line and of the history
    const value = { name: COOKIE, value: markOf(token), httpOnly: true, sameSite: 'lax', path: '/' } as const
    return await reply.header('set-cookie', stringifySetCookie(value)).redirect(`${url.pathname}${url.search}`, 303)
  }
  reply.header('www-authenticate', 'Bearer')
  throw new RequestRefusedError(401, 'A token is needed: open the dashboard once with ?token=…, or send it as Bearer.')
}

/** The content of the cookie, from which the token cannot be read. */
function markOf(token: string): string {
  return createHash('sha256').update(`loopfleet dashboard ${token}`).digest('hex')
}

function isSame(given: string | undefined, wanted: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest()
  return given !== undefined && timingSafeEqual(hash(given), hash(wanted))
}
