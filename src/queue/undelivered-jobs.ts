import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../base/logger.js'
import { findHeldJobs, releaseHeldJob } from './held-jobs.js'
import type { RedisLink } from './open-redis.js'

export type UndeliveredOptions = {
  readonly queue: string
  /** What the tokens of the consumer's locks begin with. */
  readonly tokenStart: string
  readonly isRunning: (id: string) => boolean
}

const PAUSE_MS = 1_000

/**
 * When Redis dies between giving a job to a worker and telling it, the job is locked by somebody who does not know.
 * After each outage such jobs are given back, instead of when their lock runs out. Returns what ends that.
 */
export function releaseUndelivered(
  options: UndeliveredOptions,
  deps: { readonly link: RedisLink; readonly log: Logger },
): () => void {
  const { link, log } = deps
  const { queue, tokenStart, isRunning } = options
  const ended = new AbortController()
  const { signal } = ended

  // Looked at twice, since a job may just be on its way to its handler, or from it.
  async function release(): Promise<void> {
    await sleep(PAUSE_MS, undefined, { signal })
    const before = await look()
    if (before.length === 0) return
    await sleep(PAUSE_MS, undefined, { signal })
    for (const job of await look()) {
      if (!before.some(({ token }) => token === job.token)) continue
      log.info({ queue, jobId: job.id }, 'job was given to us while Redis died; giving it back')
      await releaseHeldJob(link, queue, job)
    }
  }

  async function look() {
    return (await findHeldJobs(link, queue, tokenStart)).filter(({ id }) => !isRunning(id))
  }

  const stopListening = link.onReconnect(() => {
    release().catch((error: unknown) => {
      if (!signal.aborted) log.debug({ err: error, queue }, 'undelivered jobs not checked')
    })
  })
  return () => {
    stopListening()
    ended.abort()
  }
}
