import type { Job } from 'bullmq'
import type { z } from 'zod'
import type { Logger } from '../base/logger.js'
import { luaScript } from './lua-script.js'
import type { RedisLink } from './open-redis.js'
import { JobDataError } from './queue-errors.js'

const MAX_LOG_LINES = 500
const MAX_LINE = 1_000

// As BullMQ keeps lines, but all of them at once, and no more than a page can show.
const LOG = luaScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for at = 2, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[at]) end
if redis.call('LLEN', KEYS[2]) > tonumber(ARGV[1]) then
  redis.call('LTRIM', KEYS[2], -tonumber(ARGV[1]), -1)
  redis.call('LSET', KEYS[2], 0, '[loopfleet: earlier lines are in the log of the training or the conversion]')
end
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
      await LOG(link.client, [key, `${key}:logs`], [MAX_LOG_LINES, ...lines.map(shorten)]).catch(unimportant)
    },
  }
}

function shorten(line: string): string {
  return line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)} …` : line
}

function parseData<T>(schema: z.ZodType<T>, queue: string, job: Job): T {
  const parsed = schema.safeParse(job.data)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const problem = `${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'invalid'}`
  throw new JobDataError({ queue, id: job.id ?? '', problem })
}
