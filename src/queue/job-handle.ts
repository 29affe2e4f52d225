import type { Job } from 'bullmq'
import type { z } from 'zod'
import type { Logger } from '../base/logger.js'
import { luaScript } from './lua-script.js'
import type { RedisLink } from './open-redis.js'
import { JobDataError } from './queue-errors.js'

// As BullMQ keeps lines, but all of them at once.
const LOG = luaScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, line in ipairs(ARGV) do redis.call('RPUSH', KEYS[2], line) end
return 1`)

/** What a handler sees of its job. */
export type JobHandle<T> = {
  readonly id: string
  /** Under which Redis keeps it, for what is written together with it. */
  readonly key: string
  readonly name: string
  readonly data: T
  /** How often the job was begun, this time included. */
  readonly attemptsStarted: number
  /** How often it failed before. */
  readonly attemptsMade: number
  /** Never throws: a figure that cannot be shown is no reason to end the work. */
  updateProgress(progress: number | object): Promise<void>
  log(...lines: readonly string[]): Promise<void>
}

/** The handle of a BullMQ job, its data checked; throws LF_JOB_DATA_INVALID. */
export function toHandle<T>(
  queue: string,
  job: Job,
  schema: z.ZodType<T>,
  { link, log }: { readonly link: RedisLink; readonly log: Logger },
): JobHandle<T> {
  const key = `${link.prefix}:${queue}:${job.id}`
  const unimportant = (error: unknown) => log.debug({ err: error, jobId: job.id }, 'progress of a job was not kept')
  return {
    id: job.id ?? '',
    key,
    name: job.name,
    data: parseData(schema, queue, job),
    attemptsStarted: job.attemptsStarted,
    attemptsMade: job.attemptsMade,
    updateProgress: (progress) => job.updateProgress(progress).catch(unimportant),
    log: async (...lines) => {
      await LOG(link.client, [key, `${key}:logs`], lines).catch(unimportant)
    },
  }
}

function parseData<T>(schema: z.ZodType<T>, queue: string, job: Job): T {
  const parsed = schema.safeParse(job.data)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const problem = `${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'invalid'}`
  throw new JobDataError({ queue, id: job.id ?? '', problem })
}
