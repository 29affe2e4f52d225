import { z } from 'zod'
import { InferenceError } from '../../basics/index.js'

/** What a detector program answers to `start`. */
export const startAnswerSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('ready'),
    images: z.enum(['encoded', 'pixels']).default('encoded').describe('As they came, or decoded to RGB rows.'),
    max_images: z.int().min(1).max(1024).default(1).describe('Most images of one `detect`.'),
  }),
  z.object({ type: z.literal('failed'), error: z.string() }),
])

/** What it answers to `detect`: for each image its findings, or an error. */
export const answersSchema = z.object({
  type: z.literal('answers'),
  id: z.int(),
  answers: z.array(z.unknown()),
})

export const imageErrorSchema = z.object({
  error: z.string(),
  bad_image: z.boolean().default(false).describe('The image is at fault, not the detector.'),
})

/** Parses a message of the program; throws LF_BACKEND_UNUSABLE naming the key. */
export function parseMessage<Schema extends z.ZodType>(schema: Schema, message: unknown): z.output<Schema> {
  const parsed = schema.safeParse(message)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new InferenceError(
    'LF_BACKEND_UNUSABLE',
    `The detector program's answer is not as agreed: ${issue?.path.join('.') || 'message'}: ${issue?.message}.`,
    { failure: 'program' },
  )
}
