import type { Redis } from 'ioredis'
import { createClosers } from '../base/closers.js'
import { every } from '../base/every.js'
import { isWithin } from '../base/is-within.js'
import type { Logger } from '../base/logger.js'
import { onFailedAttempt, pong, whyNoConnection } from './redis-reasons.js'
import { refusalNow } from './redis-refusals.js'

export type Outages = {
  /** Why Redis cannot be used now, as far as is known; a sentence. */
  problem(): string | undefined
  /** The same, for a caller that would otherwise wait for Redis: asks it, and takes two seconds without an answer for none. */
  check(): Promise<string | undefined>
  close(): void
}

export type OutageOptions = {
  /** For people: never with a password. */
  readonly url: string
  /** How often Redis is asked whether it answers. */
  readonly everyMs?: number
}

const EVERY_MS = 5_000
// Twice as long as the pause between questions.
const SILENT_PAUSES = 2
const CHECK_MS = 2_000
const SILENT = 'Redis does not answer.'

/**
 * Logs an outage: each cause once, since it may change while it lasts (a server that is killed comes back with a password), and
 * its end. A server that keeps its connections open and answers nothing is one as well.
 */
export function watchOutages(client: Redis, options: OutageOptions, deps: { readonly log: Logger }): Outages {
  const { url, everyMs = EVERY_MS } = options
  const { log } = deps
  const reported = new Set<string>()
  const closers = createClosers(log)
  let problem: string | undefined
  let asked: Promise<void> | undefined
  let isExplaining = false
  let isClosed = false
  let lastSeen: unknown[] = []
  let quietLooks = 0

  async function explain(error: Error): Promise<void> {
    if (isExplaining) return
    isExplaining = true
    const { kind, reason, fault } = await whyNoConnection(error, client.options)
    isExplaining = false
    if (isClosed || client.status === 'ready') return
    problem = `Redis ${fault}: ${reason}.`
    if (!isNew(kind)) return
    if (fault === 'is unreachable') log.warn({ url, reason }, 'Redis unreachable; waiting for it')
    else log.error({ url, reason }, `Redis ${fault}; waiting for it`)
  }

  function isNew(kind: string): boolean {
    if (reported.has(kind)) return false
    reported.add(kind)
    return true
  }

  function noteSilence(): void {
    problem = SILENT
    if (isNew('silent')) log.warn({ url }, 'Redis does not answer; waiting for it')
  }

  function noteEnd(how: string): void {
    problem = undefined
    if (reported.size > 0) log.info({ url }, how)
    reported.clear()
  }

  /** Rejects when the connection is closed. */
  function ask(): Promise<void> {
    asked ??= pong(client)
      .then(() => {
        if (problem === SILENT) noteEnd('Redis answers again')
      })
      .finally(() => {
        asked = undefined
      })
    return asked
  }

  const isAnswering = (limitMs: number) => isWithin(ask(), limitMs).catch(() => false)

  async function look(): Promise<void> {
    if (client.status === 'ready') {
      const isAnswered = await isAnswering(SILENT_PAUSES * everyMs)
      if (!isAnswered && !isClosed && client.status === 'ready') noteSilence()
      return
    }
    // The driver waits without limit for the answers of its handshake.
    const seen = [client.stream, client.stream?.bytesRead]
    const isQuiet = client.status === 'connect' && seen.every((each, index) => each === lastSeen[index])
    quietLooks = isQuiet ? quietLooks + 1 : 0
    lastSeen = seen
    if (quietLooks >= SILENT_PAUSES) noteSilence()
  }

  function whyNot(): string | undefined {
    if (client.status === 'ready') return problem === SILENT ? problem : undefined
    const refusal = refusalNow(client) // then it is made again and again
    const known = refusal && `Redis takes no writes: ${refusal.fault}; ${refusal.wayOut}.`
    return problem ?? known ?? 'Redis is unreachable.'
  }

  onFailedAttempt(client, (error) => void explain(error))
  client.on('ready', () => noteEnd('Redis reconnected'))
  every(everyMs, look, closers, 'outages')

  return {
    problem: whyNot,
    async check() {
      return whyNot() ?? ((await isAnswering(CHECK_MS)) ? undefined : (whyNot() ?? SILENT))
    },
    close() {
      isClosed = true
      void closers.closeAll()
    },
  }
}
