import { statfs } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { dirname } from 'node:path'
import type { Redis, RedisOptions } from 'ioredis'
import { messageOf } from '../../base/index.js'

/** Why there is no connection to Redis. */
export type NoConnection = {
  /** Causes that differ have different ones. */
  readonly kind: string
  readonly reason: string
  readonly fault: 'refuses the login' | 'refuses connections' | 'refuses commands' | 'is unreachable'
  /** Undefined where only the address and the server itself can be checked. */
  readonly wayOut?: string
}

const GREETING_MS = 500
const FULL_BYTES = 64 * 1024

/** The commonest mistakes, for which the driver names neither the mistake nor the way out. */
export async function whyNoConnection(error: Error, options: RedisOptions): Promise<NoConnection> {
  const message = messageOf(error)
  if (isLoginRefusal(error))
    return { kind: message.split(' ', 1).join(), fault: 'refuses the login', ...whyNoLogin(message, options) }
  const greeting = isCut(error) ? await readGreeting(options) : undefined
  if (greeting !== undefined)
    return { kind: greeting, reason: greeting, fault: 'refuses connections', ...wayOutOfGreeting(greeting) }
  if (error.name === 'ReplyError')
    return {
      kind: message,
      reason: message,
      fault: 'refuses commands',
      wayOut: 'lift that limit, or use another Redis',
    }
  const tls = whyNoTls(error, options)
  if (tls !== undefined) return { kind: isCut(error) ? 'gone' : tls.reason, fault: 'is unreachable', ...tls }
  const disk = await fullDiskOf(options)
  if (disk === undefined) return { kind: kindOf(error), reason: reasonOf(error), fault: 'is unreachable' }
  return {
    kind: 'full disk',
    reason: `${reasonOf(error)}; ${disk}`,
    fault: 'is unreachable',
    wayOut: 'make room there',
  }
}

/** A Redis that appends to a file with each write ends when it cannot. That of this machine has its socket beside that file. */
async function fullDiskOf({ path }: RedisOptions): Promise<string | undefined> {
  if (!path) return undefined
  const folder = dirname(path)
  const facts = await statfs(folder).catch(() => undefined) // the folder is gone
  if (facts === undefined || facts.blocks === 0 || facts.bavail * facts.bsize >= FULL_BYTES) return undefined
  return `the disk of ${folder} is full`
}

/** A wrong password does not get better by waiting. */
export function isLoginRefusal(error: Error): boolean {
  return /WRONGPASS|NOAUTH|NOPERM|invalid (username-)?password|without any password|DB index/i.test(error.message)
}

/** Whether the other side has ended the connection; its reason for that may have been lost with it. */
export function isCut(error: Error): boolean {
  return /ECONNRESET|EPIPE/.test(`${error.message} ${'code' in error ? String(error.code) : ''}`)
}

/**
 * Calls back for each attempt to connect that fails, also for one that the other side ends without an error before it is
 * ready; returns what ends that.
 */
export function onFailedAttempt(client: Redis, listener: (error: Error) => void): () => void {
  let isOver = true
  const listeners = {
    connecting: () => {
      isOver = false
    },
    ready: () => {
      isOver = true
    },
    error: (error: Error) => {
      isOver = true
      listener(error)
    },
    close: () => {
      if (isOver || client.status === 'end') return
      isOver = true
      listener(Object.assign(new Error('before it was ready'), { code: 'ECONNRESET' }))
    },
  }
  for (const [event, each] of Object.entries(listeners)) client.on(event, each)
  return () => {
    for (const [event, each] of Object.entries(listeners)) client.off(event, each)
  }
}

/** Resolves when Redis answers: with an error as well, since a server that cannot save refuses PING too. */
export async function pong(client: Redis): Promise<void> {
  await client.ping().catch((error: unknown) => {
    if (!(error instanceof Error) || error.name !== 'ReplyError') throw error
  })
}

// A server that is gone is refused, reset or missing, as its end goes.
function kindOf(error: Error): string {
  const code = 'code' in error ? String(error.code) : messageOf(error)
  return isCut(error) || code === 'ECONNREFUSED' || code === 'ENOENT' ? 'gone' : code
}

function reasonOf(error: Error): string {
  const message = messageOf(error)
  if (message.includes('Unknown RESP type')) return 'what answers there is no Redis'
  if (/wrong version number|packet length too long/.test(message))
    return 'it speaks no TLS, so it is redis://, not rediss://'
  return isCut(error) ? `it ends the connection (${message})` : message
}

type Why = { readonly reason: string; readonly wayOut: string }

function whyNoLogin(message: string, { db }: RedisOptions): Why {
  if (message.startsWith('NOAUTH'))
    return { reason: 'NOAUTH, it asks for a password', wayOut: 'give it in REDIS_URL (redis://:PASSWORD@host:6379)' }
  if (message.startsWith('WRONGPASS'))
    return {
      reason: 'WRONGPASS, there is no such user, it is off, or the password is wrong',
      wayOut: 'correct REDIS_URL (redis://USER:PASSWORD@host:6379)',
    }
  if (/DB index/i.test(message))
    return {
      reason: `it has no database ${db} (${message})`,
      wayOut: 'name another one in REDIS_URL (redis://host:6379/0), or raise "databases" of the server',
    }
  return { reason: message, wayOut: 'correct the user and the password in REDIS_URL' }
}

function wayOutOfGreeting(greeting: string): { readonly wayOut?: string } {
  if (/number of clients/i.test(greeting)) return { wayOut: 'raise maxclients, or end other clients' }
  if (greeting.startsWith('DENIED'))
    return { wayOut: 'give it a password, or bind it to this network (protected-mode)' }
  return {}
}

const UNKNOWN_AUTHORITY = /SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)/

/** What is wrong with the certificates, in words instead of those of the TLS library. */
function whyNoTls(error: Error, { host, tls }: RedisOptions): Why | undefined {
  const code = 'code' in error ? String(error.code) : ''
  const message = messageOf(error)
  if (UNKNOWN_AUTHORITY.test(code))
    return {
      reason: `its certificate is not signed by an authority that this host knows (${code})`,
      wayOut: 'set NODE_EXTRA_CA_CERTS to the PEM file of its authority',
    }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return {
      reason: `its certificate is not valid now (${code})`,
      wayOut: 'renew it, and check the clock of this host',
    }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return { reason: `its certificate is not for ${host}`, wayOut: 'use a name of its certificate in REDIS_URL' }
  if (/certificate required|handshake failure|bad certificate/.test(message) && code.includes('SSL'))
    return {
      reason: 'it asks for a certificate of its clients, and loopfleet sends none',
      wayOut: 'set tls-auth-clients of the server to "no" or "optional"',
    }
  // The alert that says so can be lost with the connection.
  if (tls !== undefined && isCut(error))
    return {
      reason: `it ends the connection (${message})`,
      wayOut: 'check that the server runs and that its tls-auth-clients is "no" or "optional"',
    }
  return undefined
}

/**
 * A server that takes no more clients, or none from elsewhere, says so and ends the connection. The driver writes first, and loses
 * that answer with the connection, so it is read here by a client that writes nothing.
 */
async function readGreeting({ path, host, port, tls }: RedisOptions): Promise<string | undefined> {
  if (tls !== undefined) return undefined
  return await new Promise((resolve) => {
    const socket = path ? createConnection(path) : createConnection(port ?? 6379, host ?? 'localhost')
    const end = (greeting?: string) => {
      socket.destroy()
      resolve(greeting)
    }
    socket.setTimeout(GREETING_MS, () => end())
    socket.on('error', () => end())
    socket.on('close', () => end())
    socket.on('data', (data) => end(/^-(.*?)(?:\. |\r?\n|$)/.exec(data.toString('latin1'))?.[1]))
  })
}
