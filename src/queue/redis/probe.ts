import type { Redis } from 'ioredis'
import { isWithin, messageOf } from '../../base/index.js'
import { tryWrites, type WriteAnswer } from '../redis-basics/index.js'
import { CLOSED, RedisClient } from './redis-client.js'

/**
 * What a further connection finds: Redis takes commands, still loads its data set, is busy with a long script, carries no write
 * out while it answers everything else (CLIENT PAUSE … WRITE, a failover), or answers nothing. When that connection cannot be
 * made, or is cut, it is `unknown`.
 */
export type Condition = 'answers' | 'loading' | 'busy' | 'withholds writes' | 'silent' | 'unknown'

export type Probe = {
  /** A further connection that gives up by itself. */
  connectOnce(limitMs?: number): RedisClient
  /** Why a connection that is open may wait for its answers. Takes two seconds at most, and never rejects. */
  condition(): Promise<Condition>
  /** What Redis answers to writes, over a further connection: behind withheld writes, a connection answers nothing else. */
  tryWrites(): Promise<WriteAnswer>
}

const ONCE_MS = 5_000
const LIMIT_MS = 1_500
const LONGEST_MS = 2_000
/** A write that is not answered in this time, while PING is, is withheld. */
const WITHHELD_MS = 1_000

const WITHHELD: WriteAnswer = { refusal: 'WITHHELD no write is answered, though PING is', redisMs: Number.NaN }

export function createProbe(client: RedisClient, { prefix }: { readonly prefix: string }): Probe {
  /** The answer that is under way, for all that ask meanwhile. */
  let asked: Promise<WriteAnswer> | undefined

  function connectOnce(limitMs = ONCE_MS): RedisClient {
    const limits = {
      connectTimeout: limitMs,
      commandTimeout: limitMs,
      retryStrategy: () => null,
      reconnectOnError: null,
    }
    const lazily = { lazyConnect: true, enableReadyCheck: false, replyMapping: 'legacy' } as const
    return new RedisClient({ ...client.options, ...limits, ...lazily })
  }

  async function withOnce<T>(use: (once: RedisClient) => Promise<T>): Promise<T> {
    const once = connectOnce(LIMIT_MS)
    once.on('error', () => undefined) // reported by the rejection
    try {
      await once.connect()
      return await use(once)
    } finally {
      once.close()
    }
  }

  async function askWrites(once: Redis): Promise<WriteAnswer> {
    const answer = tryWrites({ client: once, prefix })
    if (await isWithin(answer, WITHHELD_MS)) return await answer
    answer.catch(() => undefined) // it ends with its connection
    await withOnce(ping) // throws where nothing is answered
    return WITHHELD
  }

  async function askOnceOrHere(): Promise<WriteAnswer> {
    try {
      return await withOnce(askWrites)
    } catch (error) {
      // It may refuse further connections (a changed password, too many clients) and still serve this one.
      const here = client.status === 'ready' ? tryWrites({ client, prefix }) : Promise.reject(error)
      if (await isWithin(here, LIMIT_MS)) return await here
      throw error
    }
  }

  return {
    connectOnce,
    async condition() {
      const find = async (once: Redis): Promise<Condition> => {
        const refused = await ping(once)
        if (refused.startsWith('LOADING')) return 'loading'
        if (refused.startsWith('BUSY')) return 'busy'
        return (await askWrites(once)) === WITHHELD ? 'withholds writes' : 'answers'
      }
      const found = withOnce(find).catch((error: unknown) => (messageOf(error) === CLOSED ? 'unknown' : 'silent'))
      return (await isWithin(found, LONGEST_MS)) ? await found : 'silent'
    },
    tryWrites() {
      asked ??= askOnceOrHere().finally(() => {
        asked = undefined
      })
      return asked
    },
  }
}

/** The error that Redis answers, such as LOADING, or ''. Rejects where it does not answer. */
async function ping(client: Redis): Promise<string> {
  try {
    await client.ping()
    return ''
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') return error.message
    throw error
  }
}
