import { z } from 'zod'

export const recordKinds = ['training', 'conversion'] as const
export type RecordKind = (typeof recordKinds)[number]

export const lives = ['waiting', 'claimed', 'ended'] as const

/** What a host must have, whatever it does at the moment. */
export const requirementsSchema = z.object({
  /** Slots: GPUs, or the one CPU slot of a host without GPUs. */
  gpus: z.int().min(0).default(0),
})
export type Requirements = z.infer<typeof requirementsSchema>

export const intentKinds = ['stop', 'abort'] as const
export type IntentKind = (typeof intentKinds)[number]

/**
 * That somebody wants a record to end; durable until it is obeyed. An abort is never softened to a stop. The mark tells a further
 * stop from the one before.
 */
export const intentSchema = z.object({
  kind: z.enum(intentKinds),
  by: z.string(),
  at: z.number(),
  mark: z.string().default(''),
})
export type Intent = z.infer<typeof intentSchema>

const count = z
  .string()
  .regex(/^\d+$/)
  .transform((text) => Number(text))
const countOrNull = z.string().pipe(z.union([z.literal('').transform(() => null), count]))
const textOrNull = z.string().transform((text) => (text === '' ? null : text))

function json<T>(schema: z.ZodType<T>) {
  return z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text)
      } catch {
        context.addIssue({ code: 'custom', message: 'no JSON' })
        return z.NEVER
      }
    })
    .pipe(schema)
}

/** The part of a record that is the same for all kinds, as Redis keeps it: text, and empty where there is nothing. */
export const recordHeadSchema = z.object({
  id: z.string().min(1),
  kind: z.enum(recordKinds),
  /** Time and number of its creation: no other record has it, also if it was removed and made again. */
  born: z.string().min(1),
  /** The trainer or converter that it needs. */
  name: z.string().min(1),
  requires: json(requirementsSchema),
  /** Of the newest build that has written it. */
  protocol: count,
  /** How often it was written. */
  version: count,
  life: z.enum(lives),
  /** How often a host has claimed it (and once more for each retry by a person): the fence. */
  run: count,
  /** Who has it, or had it last. */
  host: textOrNull,
  /** The life of the host's worker that has it; null after it was handed back. */
  incarnation: textOrNull,
  leaseMs: countOrNull,
  intent: z.string().pipe(z.union([z.literal('').transform(() => null), json(intentSchema)])),
  outcome: textOrNull,
  /** What the last run was worth: 'none' when its host died before anything came of it. */
  use: z.enum(['none', 'useful', 'excused']),
  /** Runs in a row that were worth nothing. */
  fruitlessRuns: count,
  /** Counted failures since the last best result. */
  failures: count,
  /** Hosts that leave it to others, since it failed there; builds before that have no such list. */
  avoid: z
    .string()
    .nullish()
    .transform((text) => text || '[]')
    .pipe(json(z.array(z.string()))),
  /** Why no host is offered it until a person resumes it. */
  held: z
    .string()
    .nullish()
    .transform((text) => text || null),
  /** The name of the last counted one, so that it is counted once. */
  lastFailure: textOrNull,
  createdAt: count,
  updatedAt: count,
  /** When a host first claimed it. */
  startedAt: countOrNull,
  endedAt: countOrNull,
})
export type RecordHead = z.infer<typeof recordHeadSchema>

/** All that is known of one training or conversion: the generic part, and what only its pipeline understands. */
export type FleetRecord<T> = RecordHead & { readonly payload: T }

/** What a pipeline keeps in its records. */
export type PayloadDefinition<T> = {
  readonly kind: RecordKind
  readonly schema: z.ZodType<T>
  /** Keys whose values are objects that are written key by key, so that two writers of different keys do not undo each other. */
  readonly spread?: readonly (keyof T & string)[]
}

const historyEvents = [
  'created',
  'claimed',
  'expired',
  'regained',
  'restored',
  'released',
  'taken-back',
  'failure',
  'stop',
  'abort',
  'ended',
  'reopened',
] as const

/** One line of what happened to a record; the newest fifty are kept. */
export const historyEntrySchema = z.object({
  at: z.number(),
  what: z.enum(historyEvents),
  run: z.int().min(0),
  host: z.string().nullable(),
})
export type HistoryEntry = z.infer<typeof historyEntrySchema>
