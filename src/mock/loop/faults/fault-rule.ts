import { z } from 'zod'

export const faultKinds = [
  'status', // answers `status` (500 if missing) instead of doing anything; events: `success: false`
  'delay', // waits `delayMs`, then goes on
  'cut', // does what is asked and breaks the connection in the middle of the answer
  'truncate', // answers only the first half, as if it were all
  'too-many-requests', // answers 429, with Retry-After if `retryAfter` is given
  'lost-answer', // does what is asked, then breaks the connection before the answer
  'expire-sessions', // forgets all sessions, then goes on
  'refuse', // breaks the connection before doing anything
  'duplicate', // events to nodes only: sends the event twice
] as const
export type FaultKind = (typeof faultKinds)[number]

export const faultRuleSchema = z.strictObject({
  match: z
    .strictObject({
      method: z.string().min(1).describe('HTTP method; any case.').optional(),
      path: z
        .string()
        .min(1)
        .describe('Prefix of the path with or without /api, or a regular expression from ^ on.')
        .optional(),
      event: z.string().min(1).describe('Socket event in either direction, or `connect`.').optional(),
    })
    .describe('All given parts must fit; a rule with an event does not touch REST, and the other way round.'),
  kind: z.enum(faultKinds),
  status: z.int().min(100).max(599).optional(),
  body: z.string().describe('Text to answer instead of the JSON detail, for `status`.').optional(),
  delayMs: z.int().min(0).max(3_600_000).optional(),
  retryAfter: z.number().min(0).describe('Seconds.').optional(),
  times: z.int().min(1).describe('How often it happens; missing means until it is deleted.').optional(),
  after: z.int().min(0).describe('How many fitting requests pass unharmed first.').optional(),
})
export type FaultRule = z.infer<typeof faultRuleSchema>
