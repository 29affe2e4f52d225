import { z } from 'zod'
import { RequestRefusedError } from './errors.js'

export const pageSchema = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  offset: z.coerce.number().int().min(0).max(1_000_000).default(0),
})
export const idSchema = z.object({ id: z.string().regex(/^[0-9a-z]{1,32}$/) })
export const logSchema = z.object({
  from: z
    .string()
    .regex(/^\d{1,20}-\d{1,20}$/)
    .optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(500),
})

/** What of a request fits the schema; answers 400 with what does not. */
export function read<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new RequestRefusedError(400, `${issue?.path.join('.') ?? 'Request'}: ${issue?.message ?? 'not usable'}.`)
}
