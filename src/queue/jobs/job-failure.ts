import { z } from 'zod'
import { failureClassOf, LoopfleetError, messageOf } from '../../base/index.js'

const MAX_MESSAGE = 4_000
const MAX_DETAILS = 16_000

/** What BullMQ keeps as `failedReason`: the error of a handler, which a waiting caller can parse again. */
const jobFailureSchema = z.object({
  code: z.string(),
  message: z.string(),
  failure: z.enum(['transient', 'program', 'fatal']),
  details: z.record(z.string(), z.unknown()).optional(),
})
export type JobFailure = z.infer<typeof jobFailureSchema>

/** Anything thrown, as data; what is too long to be kept in Redis is cut. */
export function toJobFailure(thrown: unknown): JobFailure {
  const code = thrown instanceof LoopfleetError ? thrown.code : 'LF_UNEXPECTED'
  const failure = { code, message: messageOf(thrown).slice(0, MAX_MESSAGE), failure: failureClassOf(thrown) }
  const details = thrown instanceof LoopfleetError ? keepableDetails(thrown.details) : undefined
  return details === undefined ? failure : { ...failure, details }
}

/** Reads a `failedReason`; a foreign text (BullMQ's own, an older version's) counts as transient. */
export function parseJobFailure(failedReason: string | undefined): JobFailure {
  const parsed = jobFailureSchema.safeParse(tryJson(failedReason))
  if (parsed.success) return parsed.data
  return { code: 'LF_UNEXPECTED', message: failedReason ?? 'no reason was recorded', failure: 'transient' }
}

function keepableDetails(details: Readonly<Record<string, unknown>>): Record<string, unknown> | undefined {
  try {
    const text = JSON.stringify(details)
    if (text === '{}' || text.length > MAX_DETAILS) return undefined
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text))
  } catch {
    return undefined // details that JSON cannot hold are only a help for readers; the sentence is kept anyway
  }
}

function tryJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined // not ours; the caller keeps the text as it is
  }
}
