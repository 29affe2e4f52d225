import type { z } from 'zod'
import { describeError } from '../../../loop/protocol/index.js'
import { RefusedError } from '../refused-error.js'

/** The checked message, or a refusal (422) that names the wrong field. */
export function checked<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new RefusedError(422, `${what}: ${describeError(parsed.error, value)}`)
}

/** Refuses an object without these keys: optional values are sent as null, never left out. */
export function requireKeys(value: unknown, keys: readonly string[], what: string): void {
  if (typeof value !== 'object' || value === null) throw new RefusedError(422, `${what}: it must be an object.`)
  const missing = keys.filter((key) => !Object.hasOwn(value, key))
  if (missing.length > 0) throw new RefusedError(422, `${what}: ${missing.join(', ')} must be there, null if unknown.`)
}
