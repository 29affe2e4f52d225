import { z } from 'zod'
import { stages } from '../jobs/names.js'
import type { TrainingRecord } from './training-record.js'

/** The last failure of a training, as the record keeps it among the facts, also after a later attempt succeeded. @internal */
export const failureFactsSchema = z.object({
  /** Missing when no step was under way, as when a host does not know the trainer. */
  stage: z.enum(stages).optional(),
  code: z.string(),
  message: z.string(),
  failure: z.enum(['transient', 'program', 'fatal']),
  hostId: z.string(),
  /** Which take of the step it was; a program gets three. */
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
