import { Buffer } from 'node:buffer'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Sessions } from '../sessions.js'
import type { FaultRule } from './fault-rule.js'
import type { Faults } from './faults.js'

const DEFAULT_DELAY_MS = 1000

/** Makes the REST API misbehave as the rules say. Its own control API and page are never touched. */
export function registerRestFaults(app: FastifyInstance, deps: { faults: Faults; sessions: Sessions }): void {
  const pending = new WeakMap<FastifyRequest, FaultRule>()

  app.addHook('onRequest', async (request, reply) => {
    if (!request.url.startsWith('/api/') || request.url.startsWith('/api/local/')) return
    const rule = deps.faults.forRequest(request.method, request.url)
    if (rule === undefined) return
    switch (rule.kind) {
      case 'status':
        return await answer(reply, rule.status ?? 500, rule)
      case 'too-many-requests':
        if (rule.retryAfter !== undefined) reply.header('retry-after', String(rule.retryAfter))
        return await answer(reply, 429, rule)
      case 'delay':
        await sleep(rule.delayMs ?? DEFAULT_DELAY_MS)
        return
      case 'expire-sessions':
        deps.sessions.expireAll()
        return
      case 'refuse':
        reply.hijack()
        request.raw.socket.destroy()
        return
      case 'cut':
      case 'truncate':
      case 'lost-answer':
        pending.set(request, rule)
        return
      case 'duplicate':
        return
      default:
        rule.kind satisfies never
    }
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const rule = pending.get(request)
    if (rule === undefined) return payload
    pending.delete(request)
    if (rule.kind === 'lost-answer') {
      await drained(payload)
      request.raw.socket.destroy()
      return payload
    }
    const bytes = await bytesOf(payload)
    const half = bytes.subarray(0, Math.floor(bytes.length / 2))
    if (rule.kind === 'truncate') {
      reply.header('content-length', half.length)
      return half
    }
    reply.header('content-length', bytes.length)
    return Readable.from(cutOff(half, request), { objectMode: false })
  })
}

async function answer(reply: FastifyReply, status: number, rule: FaultRule): Promise<FastifyReply> {
  if (rule.body !== undefined) return await reply.code(status).type('text/html').send(rule.body)
  return await reply.code(status).send({ detail: `A fault was injected (${rule.kind}).` })
}

/** The first half, and then the connection breaks. */
async function* cutOff(half: Buffer, request: FastifyRequest): AsyncGenerator<Buffer> {
  yield half
  await sleep(20) // lets the half reach the network
  request.raw.socket.destroy()
}

async function bytesOf(payload: unknown): Promise<Buffer> {
  if (typeof payload === 'string' || payload instanceof Uint8Array) return Buffer.from(payload)
  if (!(payload instanceof Readable)) return Buffer.alloc(0)
  const chunks: Buffer[] = []
  for await (const chunk of payload) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

async function drained(payload: unknown): Promise<void> {
  if (payload instanceof Readable) for await (const _ of payload);
}
