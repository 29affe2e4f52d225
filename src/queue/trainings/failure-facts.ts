import { z } from 'zod'
import { stages } from '../jobs/names.js'
import type { TrainingRecord } from './training-record.js'

/** The last failure of a training. The record keeps it among its facts, also after a later attempt has succeeded. */
const failureFactsSchema = z.object({
  /** Missing if no step was active, such as on a host without the trainer. */
  stage: z.enum(stages).optional(),
  code: z.string(),
  message: z.string(),
  failure: z.enum(['transient', 'program', 'fatal']),
  hostId: z.string(),
  /** The attempt at the step; a program has three. */
  attempt: z.int().min(1).optional(),
  /** Of an external program, if one failed. */
  exitCode: z.int().nullable().optional(),
  signal: z.string().nullable().optional(),
  outOfMemory: z.boolean().optional(),
  /** The newest last. */
  lastLogLines: z.array(z.string()).optional(),
  at: z.number(),
})
export type FailureFacts = z.infer<typeof failureFactsSchema>

/** What is known about the last failure of a training; undefined when there was none. */
export function failureOf(record: Pick<TrainingRecord, 'facts'>): FailureFacts | undefined {
  return failureFactsSchema.safeParse(record.facts.failure).data
}
