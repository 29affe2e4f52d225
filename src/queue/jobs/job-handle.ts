import type { Job } from 'bullmq'
import type { z } from 'zod'
import type { Logger } from '../../base/logger/index.js'
import { JobDataError } from './queue-errors.js'

const MAX_LINE = 1_000

/** What a handler sees of its job. */
export type JobHandle<T> = {
  readonly id: string
  readonly name: string
  readonly data: T
  /** Never throws: a figure that cannot be shown is no reason to end the work. */
  updateProgress(progress: number | object): Promise<void>
  log(...lines: readonly string[]): Promise<void>
}

/** The handle of a BullMQ job, its data checked; throws LF_JOB_DATA_INVALID. */
export function toHandle<T>(
  queue: string,
  job: Job,
  schema: z.ZodType<T>,
  { log }: { readonly log: Logger },
): JobHandle<T> {
  const unimportant = (error: unknown) => log.debug({ err: error, jobId: job.id }, 'progress of a job was not kept')
  return {
    id: job.id ?? '',
    name: job.name,
    data: parseData(schema, queue, job),
    updateProgress: (progress) => job.updateProgress(progress).catch(unimportant),
    async log(...lines) {
      await job.log(lines.map(shorten).join('\n')).catch(unimportant)
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
