import { z } from 'zod'
import { orNull } from './optional.js'
import { shown } from './protocol-error.js'

/** The envelope in which Loop and nodes acknowledge each other's events. */
export const answerSchema = z.object({
  success: z.boolean(),
  error_msg: orNull(z.string()),
  payload: z.unknown().default(null),
})
export type Answer = z.infer<typeof answerSchema>

/** The envelope of success. */
export function okAnswer(payload: unknown = null): Answer {
  return { success: true, error_msg: null, payload }
}

/** The envelope of failure; the text is what the other side shows. */
export function errorAnswer(message: string, payload: unknown = null): Answer {
  return { success: false, error_msg: message, payload }
}

/** Payload of the answer to an order that is sound, but comes while the trainer cannot take it (from 0.27.0 on). */
export const REFUSED = 'refused'

/**
 * Wraps what a node's handler returned: a text is the payload, a boolean the success, nothing is an ack without
 * argument (undefined), and anything else is an error.
 */
export function toAnswer(result: unknown): Answer | undefined {
  if (result === undefined || result === null) return undefined
  if (typeof result === 'string') return okAnswer(result)
  if (typeof result === 'boolean') return { success: result, error_msg: null, payload: null }
  if (result instanceof Error) return errorAnswer(result.message)
  return errorAnswer(`A handler may return a text, true, false or nothing, got ${shown(result)}.`)
}
