import { z } from 'zod'
import { plainText } from '../../base/terminal/index.js'
import { confusionMatrixSchema } from '../../loop/protocol/index.js'
import { isInnerPath } from './paths.js'
import { parsePythonJson } from './python-json.js'

// It goes to logs and terminals.
const messageSchema = z.string().transform((text) => plainText(text.slice(0, 2000)))
const valuesSchema = z.record(z.string().max(200), z.unknown()).transform(onlyNumbers)
const filePathSchema = z.string().refine(isInnerPath, {
  error: 'must be a path inside the workspace, relative and without ..',
})

const progressEventSchema = z.object({
  event: z.literal('progress'),
  progress: z.number().nullish().transform(clipToOne),
  epoch: z.int().min(0).nullish(),
  epochs: z.int().min(0).nullish(),
  message: messageSchema.nullish(),
})
const metricsEventSchema = z.object({
  event: z.literal('metrics'),
  epoch: z.int().min(0),
  values: valuesSchema,
})
const modelEventSchema = z.object({
  event: z.literal('model'),
  epoch: z.int().min(0).nullish(),
  /** Format → files relative to the workspace. */
  files: z.record(z.string().min(1).max(100), z.array(filePathSchema).min(1).max(1000)),
  /** Counts per category id; classes may be missing, and empty when nobody measured. */
  confusion_matrix: confusionMatrixSchema.nullish().transform((counts) => counts ?? {}),
  values: valuesSchema.nullish(),
})
const errorEventSchema = z.object({ event: z.literal('error'), message: messageSchema })

/** The events that a training program writes into its events file; docs/reference/trainer-contract.md describes it. */
export const eventSchema = z.discriminatedUnion('event', [
  progressEventSchema,
  metricsEventSchema,
  modelEventSchema,
  errorEventSchema,
])
export type ProgressEvent = z.output<typeof progressEventSchema>
export type ModelEvent = z.output<typeof modelEventSchema>
export type TrainerEvent = z.output<typeof eventSchema>

/** Name of the events file inside the workspace. */
export const EVENTS_FILE = 'events.jsonl'

export type ParsedLine<Event> =
  | { readonly ok: true; readonly event: Event }
  | {
      readonly ok: false
      readonly reason: 'not-json' | 'unknown-event' | 'bad-event' | 'too-long'
      readonly line: string
      /** What is wrong with a known event, as `key: problem`. */
      readonly problem?: string
    }

const EVENT_NAMES: readonly string[] = eventSchema.options.map((option) => option.shape.event.value)

/** Reads one line of the events file; never throws, since a program may write anything. */
export function parseEventLine(line: string): ParsedLine<TrainerEvent> {
  const value = parsePythonJson(line)
  if (typeof value !== 'object' || value === null) return { ok: false, reason: 'not-json', line }
  const name: unknown = Reflect.get(value, 'event')
  if (typeof name !== 'string' || !EVENT_NAMES.includes(name)) return { ok: false, reason: 'unknown-event', line }
  const parsed = eventSchema.safeParse(value)
  if (parsed.success) return { ok: true, event: parsed.data }
  const issue = parsed.error.issues[0]
  return { ok: false, reason: 'bad-event', line, problem: `${issue?.path.join('.')}: ${issue?.message}` }
}

function clipToOne(progress: number | null | undefined): number | null | undefined {
  return typeof progress === 'number' ? Math.min(1, Math.max(0, progress)) : progress
}

/** NaN and infinity arrive as null; they leave a gap in the curve instead of spoiling the event. */
function onlyNumbers(values: Record<string, unknown>): Record<string, number> {
  const numbers = Object.entries(values).map(([name, value]) => [
    name,
    typeof value === 'boolean' ? Number(value) : value,
  ])
  return Object.fromEntries(numbers.filter(([, value]) => typeof value === 'number' && Number.isFinite(value)))
}
