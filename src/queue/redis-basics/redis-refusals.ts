import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { WriteAnswer } from './try-writes.js'

/** Why a server that answers does not carry a command out now; nothing of the command was done. */
export type Refusal = {
  readonly code: string
  readonly fault: string
  readonly wayOut: string
  readonly reason?: string
}

type Known = Readonly<Record<string, Omit<Refusal, 'code' | 'reason'>>>

const TO_THE_PRIMARY = 'let REDIS_URL lead to the primary, or make this server the primary (REPLICAOF NO ONE)'

const NOT_THE_PRIMARY: Known = {
  READONLY: { fault: 'it is a read-only replica', wayOut: TO_THE_PRIMARY },
  UNBLOCKED: { fault: 'it has just become a replica', wayOut: TO_THE_PRIMARY },
  MASTERDOWN: { fault: 'it is a replica that has lost its primary', wayOut: TO_THE_PRIMARY },
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

/** Commands wait for its end (RedisClient); a transaction and what only asks get the refusal. */
const BUSY: Known = {
  BUSY: { fault: 'it is busy with a long script', wayOut: 'wait until the script ends, or end it with SCRIPT KILL' },
}

/** No answer of Redis: see Probe. */
const WITHHELD: Known = {
  WITHHELD: {
    fault: 'it withholds them (CLIENT PAUSE, as a failover sends it)',
    wayOut: 'wait until the pause is over, or end it with CLIENT UNPAUSE',
  },
}

const FORBIDDEN = { fault: 'the rules of its user forbid it', wayOut: 'allow it (docs/reference/redis.md)' }

const AGAIN_MS = 500
/** After so long without a refusal the server is asked whether it takes writes again. */
const QUIET_MS = 1_500
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
    const known = NOT_THE_PRIMARY[each] ?? TAKES_NO_WRITES[each] ?? BUSY[each] ?? WITHHELD[each]
    if (known !== undefined) return { code: each, ...known }
  }
  return isForbidden(error) ? { code: 'NOPERM', reason: error.message, ...FORBIDDEN } : undefined
}

/** Whether the rules of the user (ACL) forbid a command, a key or a channel; a script says it in words of its own. */
export function isForbidden(error: unknown): boolean {
  return /^NOPERM|The user executing the script can't/.test(messageOf(error))
}

/**
 * For the log: an error that only follows from an outage, which the link logs once with its cause, or from the end of this part, is
 * no news.
 */
export function levelOf(error: unknown): 'debug' | 'warn' {
  return refusalOf(error) !== undefined || messageOf(error) === 'Connection is closed.' ? 'debug' : 'warn'
}

/** Does it again as long as Redis refuses it. */
export async function whileRefused<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (refusalOf(error) === undefined) throw error
      await sleep(AGAIN_MS)
    }
  }
}

type FailoverDeps = {
  /** Called at each refusal, and with undefined when they have ended. */
  readonly onRefused: (refusal: Refusal | undefined) => void
  /** Called when refusals have ended, with the time of the last one (`performance.now()`). */
  readonly onSettled: (refusedAt: number) => void
  /** What the server to which the address leads now answers to writes. Rejects if it cannot be asked. */
  readonly tryWrites: () => Promise<WriteAnswer>
}

export type FailoverRule = {
  /** Until then a refusal is an answer like any other, for the caller that connects. */
  begin(deps: FailoverDeps): void
  /** For ioredis: 2 makes the connection again and sends the refused command over the new one. */
  readonly reconnectOnError: (error: Error) => 2 | false
  readonly retryStrategy: (attempt: number) => number
  close(): void
}

/**
 * One rule for all connections of a process: what answers that it is not the primary, or that it has lost its replicas, is
 * not the server that the address leads to by now, or soon. After a failover the living connections stay where they
 * were, so they are made again, more slowly while that does not help. Refusals have ended when the server would take writes: a
 * pause in which no command was refused may only mean that connections wait to be made again.
 */
export function createFailoverRule(): FailoverRule {
  let deps: FailoverDeps | undefined
  let refusals = 0
  let refusedAt = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined

  function askLater(): void {
    clearTimeout(timer)
    timer = setTimeout(() => void ask(), QUIET_MS).unref()
  }

  async function ask(): Promise<void> {
    const askedAfter = refusedAt
    const isRefusing = await deps?.tryWrites().then(
      ({ refusal }) => isElsewhere(refusalOf(new Error(refusal))),
      () => true,
    )
    if (deps === undefined || refusedAt !== askedAfter) return // closed, or refused again, so that it is asked again
    if (isRefusing === true) return askLater()
    refusals = 0
    deps.onRefused(undefined)
    deps.onSettled(refusedAt)
  }

  return {
    begin(given) {
      deps = given
    },
    reconnectOnError(error) {
      const refusal = refusalOf(error)
      if (deps === undefined || !isElsewhere(refusal)) return false
      deps.onRefused(refusal)
      refusals += 1
      refusedAt = performance.now()
      askLater()
      return 2
    },
    retryStrategy: (attempt) => Math.min((attempt + refusals) * 50, LONGEST_PAUSE_MS),
    close() {
      deps = undefined
      clearTimeout(timer)
    },
  }
}

/** Whether another server may take what this one refuses. */
function isElsewhere(refusal: Refusal | undefined): boolean {
  return refusal !== undefined && (refusal.code in NOT_THE_PRIMARY || refusal.code === 'NOREPLICAS')
}

type Reporter = (refusal: Refusal | undefined, what: string) => void

const reporters = new WeakMap<Redis, Reporter>()
const refusing = new WeakMap<Redis, Refusal>()

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
      refusing.set(client, refusal)
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

/** Why the server of this connection refuses writes now; undefined if it does not. */
export function refusalNow(client: Redis): Refusal | undefined {
  return refusing.get(client)
}

/** A write was refused, or taken; `what` tells the writes of a kind from others. */
export function noteRefusal(client: Redis, refusal: Refusal | undefined, what: string): void {
  reporters.get(client)?.(refusal, what)
}
