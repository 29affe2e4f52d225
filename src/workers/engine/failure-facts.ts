import { z } from 'zod'
import { failureClassOf, LoopfleetError, messageOf } from '../../base/index.js'
import { looksOutOfMemory } from '../../executors/contract/index.js'
import type { FailureFacts } from '../../queue/index.js'

const MAX_LINES = 20
const MAX_LINE = 300
const MAX_MESSAGE = 2_000

/** The details of errors of external programs. */
const programEndSchema = z.object({
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  lastLogLines: z.array(z.string()),
  /** The trainer file's word for a known line of the log. */
  reported: z.string().nullish(),
  cause: z.string().optional(),
  outOfMemory: z.boolean().optional(),
})

/** A failure as the record keeps it: what, where, and of a program how it ended and what it said last. */
export function toFailureFacts(
  thrown: unknown,
  where: Pick<FailureFacts, 'stage' | 'hostId' | 'attempt' | 'at'>,
): FailureFacts {
  const facts = {
    ...where,
    code: thrown instanceof LoopfleetError ? thrown.code : 'LF_UNEXPECTED',
    message: messageOf(thrown).slice(0, MAX_MESSAGE),
    failure: failureClassOf(thrown),
  }
  const end = programEndSchema.safeParse(thrown instanceof LoopfleetError ? thrown.details : undefined).data
  if (end === undefined) return facts
  const lastLogLines = end.lastLogLines.slice(-MAX_LINES).map((line) => line.slice(0, MAX_LINE))
  const said = [...end.lastLogLines, end.reported ?? '', end.cause ?? '']
  const outOfMemory = end.outOfMemory === true || looksOutOfMemory({ ...end, lastLogLines: said })
  return { ...facts, exitCode: end.exitCode, signal: end.signal, outOfMemory, lastLogLines }
}
