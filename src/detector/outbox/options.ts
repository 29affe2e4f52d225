import { z } from 'zod'

/** What an outbox keeps, and how it sends. */
export const outboxOptionsSchema = z.strictObject({
  folder: z.string().min(1).describe('Where images wait until the Loop has taken them; one process at a time.'),
  maxImages: z.int().min(1).default(1000).describe('Past this count the oldest normal image is dropped.'),
  maxBytes: z
    .int()
    .min(1)
    .default(2 ** 30)
    .describe('The same for the bytes of all waiting images.'),
  maxSetAside: z.int().min(0).default(100).describe('How many refused or broken images are kept to be looked at.'),
  maxSetAsideBytes: z
    .int()
    .min(0)
    .default(2 ** 28)
    .describe('The same in bytes.'),
  mode: z.enum(['continuous_upload', 'stopped']).default('continuous_upload'),
  maxBatch: z.int().min(1).max(20).default(20).describe('Images in one request.'),
  maxRequests: z.int().min(1).max(16).default(4).describe('Requests under way at a Loop that keeps up.'),
  retryFirstMs: z.int().min(1).default(500).describe('Wait after the first failure; it doubles with each one.'),
  retryMaxMs: z.int().min(1).default(60_000),
  bisectPauseMs: z.int().min(0).default(20).describe('Wait after a refused batch; it doubles while nothing is taken.'),
  stopGraceMs: z.int().min(0).default(5_000).describe('How long a request under way may take to end when asked to.'),
})
export type OutboxOptions = z.input<typeof outboxOptionsSchema>
export type OutboxSettings = z.output<typeof outboxOptionsSchema>
