import type { Redis } from 'ioredis'
import { messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'

/** Why a server that answers does not carry a command out now; nothing of the command was done. */
export type Refusal = {
  readonly code: string
  readonly fault: string
  readonly wayOut: string
  readonly reason?: string
}

type Known = Readonly<Record<string, Omit<Refusal, 'code' | 'reason'>>>

const NOT_THE_PRIMARY: Known = {
  READONLY: { fault: 'it is a read-only replica', wayOut: 'use its primary' },
  UNBLOCKED: { fault: 'it has just become a replica', wayOut: 'use its primary' },
  MASTERDOWN: { fault: 'it is a replica that has lost its primary', wayOut: 'use the primary' },
  LOADING: { fault: 'it still reads its file', wayOut: 'wait until it has' },
  CLUSTERDOWN: { fault: 'its cluster is down', wayOut: 'use a single server' },
  TRYAGAIN: { fault: 'its cluster moves keys', wayOut: 'use a single server' },
}

const TAKES_NO_WRITES: Known = {
  OOM: { fault: 'its memory is full', wayOut: 'raise maxmemory, or remove what else it holds' },
  MISCONF: { fault: 'it cannot save to its disk', wayOut: 'make room in its folder, or make the folder writable' },
  NOREPLICAS: {
    fault: 'too few replicas follow it (min-replicas-to-write)',
    wayOut: 'start them, or lower that number',
  },
}

const FORBIDDEN = { fault: 'the rules of its user forbid it', wayOut: 'allow it (docs/reference/redis.md)' }

/** After so long without a refusal the connections lead to a server that takes commands again. */
const SETTLED_MS = 1_500
const LONGEST_PAUSE_MS = 1_000

/**
 * What the server says of itself, undefined for every other error. Since Redis 7 a script's refusal begins with its code,
 * before that it stands behind the place in the script.
 */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof Error)) return undefined
  const code = /^-?([A-Z]+) /.exec(error.message)?.[1] ?? ''
  const inScript = /: -([A-Z]+) /.exec(error.message)?.[1] ?? ''
  for (const each of [code, inScript]) {
    const known = NOT_THE_PRIMARY[each] ?? TAKES_NO_WRITES[each]
    if (known !== undefined) return { code: each, ...known }
  }
  return isForbidden(error) ? { code: 'NOPERM', reason: error.message, ...FORBIDDEN } : undefined
}

/** Whether the rules of the user (ACL) forbid a command, a key or a channel; a script says it in words of its own. */
export function isForbidden(error: unknown): boolean {
  return /^NOPERM|The user executing the script can't/.test(messageOf(error))
}

export type FailoverRule = {
  /** Until then a refusal is an answer like any other: whoever connects wants to know. */
  begin(): void
  /** For ioredis: 2 makes the connection again and sends the refused command over the new one. */
  readonly reconnectOnError: (error: Error) => 2 | false
  readonly retryStrategy: (attempt: number) => number
  /** Calls back at each refusal, and with undefined when they have ended. */
  onRefused(listener: (refusal: Refusal | undefined) => void): void
  /** Calls back when refusals have ended, with the time of the last one (`performance.now()`). */
  onSettled(listener: (refusedAt: number) => void): void
  close(): void
}

/**
 * One rule for all connections of a process: what answers that it is not the primary, or that it has lost its replicas, is
 * not the server that the address leads to by now, or soon. After a failover the living connections stay where they
 * were, so they are made again, more slowly while that does not help.
 */
export function createFailoverRule(): FailoverRule {
  let isBegun = false
  let refusals = 0
  let refusedAt = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let refused: (refusal: Refusal | undefined) => void = () => undefined
  let settled: (refusedAt: number) => void = () => undefined

  function settle(): void {
    refusals = 0
    refused(undefined)
    settled(refusedAt)
  }

  return {
    begin() {
      isBegun = true
    },
    reconnectOnError(error) {
      const refusal = refusalOf(error)
      const code = refusal?.code ?? ''
      if (!isBegun || !(code in NOT_THE_PRIMARY || code === 'NOREPLICAS')) return false
      refused(refusal)
      refusals += 1
      refusedAt = performance.now()
      clearTimeout(timer)
      timer = setTimeout(settle, SETTLED_MS).unref()
      return 2
    },
    retryStrategy: (attempt) => Math.min((attempt + refusals) * 50, LONGEST_PAUSE_MS),
    onRefused(listener) {
      refused = listener
    },
    onSettled(listener) {
      settled = listener
    },
    close() {
      clearTimeout(timer)
    },
  }
}

type Reporter = (refusal: Refusal | undefined, what: string) => void

const reporters = new WeakMap<Redis, Reporter>()
const refusing = new WeakSet<Redis>()

/**
 * Logs once when a server begins to refuse writes, with what to do, and once when it takes again all that it refused: a
 * full server still takes what needs no room, and rules may forbid one command of many.
 */
export function reportRefusals(client: Redis, url: string, log: Logger): void {
  const refused = new Set<string>()
  let code: string | undefined
  reporters.set(client, (refusal, what) => {
    if (refusal !== undefined) {
      refused.add(what)
      refusing.add(client)
      if (refusal.code === code) return
      code = refusal.code
      log.error({ url, code, reason: refusal.reason }, `Redis takes no writes: ${refusal.fault}; ${refusal.wayOut}`)
      return
    }
    if (!refused.delete(what) || refused.size > 0) return
    code = undefined
    refusing.delete(client)
    log.info({ url }, 'Redis takes writes again')
  })
}

/** Whether the server of this connection refuses writes now. */
export function isRefusing(client: Redis): boolean {
  return refusing.has(client)
}

/** A write was refused, or taken; `what` tells the writes of a kind from others. */
export function noteRefusal(client: Redis, refusal: Refusal | undefined, what: string): void {
  reporters.get(client)?.(refusal, what)
}
