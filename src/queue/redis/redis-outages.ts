import type { Redis } from 'ioredis'
import { createClosers, every, isWithin, type LoopfleetError } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import {
  onFailedAttempt,
  pong,
  RedisUnfitError,
  RedisUnreachableError,
  type Refusal,
  refusalNow,
  whyNoConnection,
} from '../redis-basics/index.js'
import type { Condition, Probe } from './probe.js'

export type Outages = {
  /** Why Redis cannot be used now, as far as is known; a sentence. */
  problem(): string | undefined
  /** The same, for a caller that would otherwise wait for Redis: asks it, and takes two seconds without an answer for none. */
  check(): Promise<string | undefined>
  /** The same as an error, with the way out. */
  whyUnusable(): Promise<LoopfleetError | undefined>
  close(): void
}

export type OutageOptions = {
  /** For people: never with a password. */
  readonly url: string
  /** How often Redis is asked whether it answers. */
  readonly everyMs?: number
}

export type OutageDeps = { readonly probe: Pick<Probe, 'condition'>; readonly log: Logger }

const EVERY_MS = 5_000
// Twice as long as the pause between questions.
const SILENT_PAUSES = 2
const CHECK_MS = 2_000
/** After that, a further connection finds out why. */
const ANSWER_MS = 500

type Problem = { readonly sentence: string; readonly error: () => LoopfleetError }

type Waiting = Exclude<Condition, 'answers' | 'unknown'>

/** Why a connection that is open gets no answers. */
const CONDITIONS = {
  silent: {
    problem: 'Redis does not answer.',
    began: 'Redis does not answer; waiting for it',
    ended: 'Redis answers again',
  },
  'withholds writes': {
    problem: 'Redis withholds writes (CLIENT PAUSE, as a failover sends it).',
    fault: 'takes no writes: it withholds them (CLIENT PAUSE, as a failover sends it)',
    wayOut: 'wait until the pause is over, or end it with CLIENT UNPAUSE',
    began: 'Redis withholds writes; waiting for it',
    ended: 'Redis takes writes again',
  },
  busy: {
    problem: 'Redis is busy with a long script.',
    fault: 'is busy with a long script',
    wayOut: 'wait until the script ends, or end it with SCRIPT KILL',
    began: 'Redis is busy with a long script; waiting for its end',
    ended: 'Redis has ended its long script',
  },
  loading: {
    problem: 'Redis is loading its data set.',
    fault: 'is loading its data set',
    wayOut: 'wait until it has',
    began: 'Redis is loading its data set; waiting for it',
    ended: 'Redis has loaded its data set',
  },
} as const satisfies Readonly<Record<Waiting, object>>

/**
 * Logs an outage: each cause once, since it may change while it lasts (a server that is killed comes back with a password), and
 * its end. A server that keeps its connections open and answers nothing is one as well.
 */
export function watchOutages(client: Redis, options: OutageOptions, deps: OutageDeps): Outages {
  const { url, everyMs = EVERY_MS } = options
  const { probe, log } = deps
  const reported = new Set<string>()
  const closers = createClosers(log)
  let problem: Problem | undefined
  let condition: Waiting | undefined
  let asked: Promise<void> | undefined
  let isExplaining = false
  let isClosed = false
  let lastSeen: unknown[] = []
  let quietLooks = 0

  async function explain(error: Error): Promise<void> {
    if (isExplaining) return
    isExplaining = true
    const { kind, reason, fault, wayOut } = await whyNoConnection(error, client.options)
    isExplaining = false
    if (isClosed || client.status === 'ready') return
    const way = wayOut === undefined ? {} : { wayOut }
    problem = {
      sentence: `Redis ${fault}: ${reason}.`,
      error: () => new RedisUnreachableError({ url, reason: `it ${fault}: ${reason}`, ...way }),
    }
    condition = undefined
    if (!isNew(kind)) return
    if (fault === 'is unreachable') log.warn({ url, reason, ...way }, 'Redis unreachable; waiting for it')
    else log.error({ url, reason, ...way }, `Redis ${fault}; waiting for it`)
  }

  function isNew(kind: string): boolean {
    if (reported.has(kind)) return false
    reported.add(kind)
    return true
  }

  function noteCondition(found: Waiting): void {
    condition = found
    problem = problemOf(url, found)
    if (isNew(found)) log.warn({ url }, CONDITIONS[found].began)
  }

  function noteEnd(how: string): void {
    problem = undefined
    condition = undefined
    if (reported.size > 0) log.info({ url }, how)
    reported.clear()
  }

  /** Rejects when the connection is closed. */
  function ask(): Promise<void> {
    asked ??= pong(client)
      .then(() => {
        if (condition === 'silent' || condition === 'busy') noteEnd(CONDITIONS[condition].ended)
        if (condition === 'withholds writes') void noteEndOfPause()
      })
      .finally(() => {
        asked = undefined
      })
    return asked
  }

  const isAnswering = (limitMs: number) => isWithin(ask(), limitMs).catch(() => false)

  /** A connection that was made again is answered until it writes, so writes are what is asked about. */
  async function noteEndOfPause(): Promise<void> {
    const found = await probe.condition()
    if (isClosed || condition !== 'withholds writes' || client.status !== 'ready') return
    if (found === 'unknown') return // Redis is asked again with the next look
    if (found === 'answers') noteEnd(CONDITIONS[condition].ended)
    else noteCondition(found)
  }

  async function look(): Promise<void> {
    if (client.status === 'ready') {
      if (condition === 'withholds writes') return await noteEndOfPause()
      if (await isAnswering(SILENT_PAUSES * everyMs)) return
      const found = toWaiting(await probe.condition())
      const isSlow = condition === 'busy' && found === 'silent' // beside its script it seldom looks after connections
      if (!isSlow && !isClosed && client.status === 'ready' && asked !== undefined) noteCondition(found)
      return
    }
    // The driver waits without limit for the answers of its handshake, and for the end of loading.
    const seen = [client.stream, client.stream?.bytesRead]
    const isQuiet = client.status === 'connect' && seen.every((each, index) => each === lastSeen[index])
    quietLooks = isQuiet ? quietLooks + 1 : 0
    lastSeen = seen
    if (quietLooks >= SILENT_PAUSES) noteCondition('silent')
    else await noteHandshake()
  }

  /** A connection that is not ready may wait for what Redis does first. */
  async function noteHandshake(): Promise<void> {
    if (client.status !== 'connect' || condition !== undefined) return
    const found = await probe.condition()
    if (isAtWork(found) && !isClosed && client.status === 'connect') noteCondition(found)
  }

  function whyNot(): Problem | undefined {
    if (client.status === 'ready') return condition === undefined ? undefined : problem
    const refusal = refusalNow(client) // then it is made again and again
    return problem ?? (refusal === undefined ? unreachable(url) : refused(url, refusal))
  }

  async function find(): Promise<Problem | undefined> {
    await noteHandshake()
    const known = whyNot()
    if (known !== undefined || (await isAnswering(ANSWER_MS))) return known
    const [found, isAnswered] = await Promise.all([probe.condition(), isAnswering(CHECK_MS - ANSWER_MS)])
    if (isAnswered) return undefined
    const waiting = toWaiting(found)
    // A short silence is no news.
    if (waiting !== 'silent' && !isClosed && client.status === 'ready') noteCondition(waiting)
    return whyNot() ?? problemOf(url, waiting)
  }

  onFailedAttempt(client, (error) => void explain(error))
  client.on('ready', () => {
    if (condition === 'withholds writes') return // until it takes writes
    noteEnd(isAtWork(condition) ? CONDITIONS[condition].ended : 'Redis reconnected')
  })
  every(everyMs, look, closers, 'outages')

  return {
    problem: () => whyNot()?.sentence,
    check: async () => (await find())?.sentence,
    whyUnusable: async () => (await find())?.error(),
    close() {
      isClosed = true
      void closers.closeAll()
    },
  }
}

/** Redis answers that it has something else to do, and takes commands when that is done. */
export function isAtWork(condition: Condition | undefined): condition is 'loading' | 'busy' {
  return condition === 'loading' || condition === 'busy'
}

/** The error for a part that finds Redis so when it starts. */
export function errorAtWork(url: string, condition: 'loading' | 'busy'): RedisUnfitError {
  const { fault, wayOut } = CONDITIONS[condition]
  return new RedisUnfitError({ url, fault, wayOut })
}

function problemOf(url: string, condition: Waiting): Problem {
  const { problem: sentence, ...known } = CONDITIONS[condition]
  const error = () =>
    'fault' in known
      ? new RedisUnfitError({ url, fault: known.fault, wayOut: known.wayOut })
      : new RedisUnreachableError({ url, reason: 'it does not answer' })
  return { sentence, error }
}

function refused(url: string, { fault, wayOut }: Refusal): Problem {
  return {
    sentence: `Redis takes no writes: ${fault}; ${wayOut}.`,
    error: () => new RedisUnfitError({ url, fault: `takes no writes: ${fault}`, wayOut }),
  }
}

function unreachable(url: string): Problem {
  return {
    sentence: 'Redis is unreachable.',
    error: () => new RedisUnreachableError({ url, reason: 'it is unreachable' }),
  }
}

/** A connection that alone gets no answers is made again by the watch on connections. */
function toWaiting(found: Condition): Waiting {
  return found === 'answers' || found === 'unknown' ? 'silent' : found
}
