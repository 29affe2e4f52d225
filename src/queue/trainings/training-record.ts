import { z } from 'zod'
import { confusionMatrixSchema, trainerStates, trainingOrderSchema } from '../../loop/protocol/index.js'
import { failedAttemptSchema } from '../blame/attempt.js'
import { stages } from '../jobs/names.js'
import { RecordInvalidError } from '../records/record-errors.js'
import { lives, requirementsSchema } from '../records/record-schema.js'

const counted = z.int().min(0).nullable()

const stepRecordSchema = z.object({ hostId: z.string(), seconds: z.number(), result: z.unknown(), at: z.number() })

const uploadedModelSchema = z.object({
  id: z.string(),
  hash: z.string().optional(),
  /** Written before the upload as `intent` (the id is empty then) and after the Loop's answer as `confirmed`. */
  state: z.enum(['intent', 'confirmed']),
})

const trainingOutcomes = ['completed', 'aborted', 'failed'] as const
export type TrainingOutcome = (typeof trainingOutcomes)[number]

/** All that is known about a training: the durable record in Redis. */
export const trainingRecordSchema = z.object({
  id: z.string(),
  trainer: z.string(),
  /** What a host must have to work on it; builds before records did not write it. */
  requires: requirementsSchema.default({ gpus: 0 }),
  /** Hosts that leave it to others, since it failed there. */
  avoid: z.array(z.string()).default([]),
  /** Why it waits for a person. */
  held: z.string().nullable().default(null),
  /** Counted failures since it last made progress. */
  failures: z.int().min(0).default(0),
  /** Of the newest build that has written it. */
  protocol: z.int().min(0).default(0),
  order: trainingOrderSchema,
  seat: z.object({ uuid: z.string(), name: z.string() }),
  createdAt: z.number(),
  /** When a host first took it. */
  startedAt: z.number().nullable(),
  updatedAt: z.number(),
  endedAt: z.number().nullable(),
  /** When the Loop acknowledged the status after the end; until then the same order is this training. */
  endAckedAt: z.number().nullable().default(null),
  outcome: z.enum(trainingOutcomes).nullable(),
  state: z.enum(trainerStates),
  progress: z.number().nullable(),
  errors: z.record(z.string(), z.string()),
  /** Builds before records did not write it. */
  life: z.enum(lives).default('waiting'),
  /** How often a host has taken it; also the fence. */
  run: z.int().min(0),
  hostId: z.string().nullable(),
  workerPid: z.int().nullable(),
  /** Runs in a row that ended with neither a new best model nor a finished step; hand-backs do not count. */
  fruitlessRuns: z.int().min(0),
  steps: z.partialRecord(z.enum(stages), stepRecordSchema),
  trainImageCount: counted,
  testImageCount: counted,
  skippedImageCount: counted,
  models: z.record(z.string(), uploadedModelSchema),
  modelId: z.string().nullable(),
  modelVersion: z.string().nullable(),
  /** The newest best model; `classes` counts hits and misses by category id. What is not known is null or missing. */
  best: z
    .object({ epoch: z.number().nullable(), f1: z.number().optional(), classes: confusionMatrixSchema.optional() })
    .nullable(),
  stopRequested: z.boolean(),
  /** Programs that failed, the newest last. */
  failedAttempts: z.array(failedAttemptSchema).default([]),
  /** What stages note down for themselves, by name. */
  facts: z.record(z.string(), z.unknown()),
})
export type TrainingRecord = z.infer<typeof trainingRecordSchema>

/** What people and the Loop call a training. */
export function trainingName(order: { organization: string; project: string; trainingNumber: number }): string {
  return `${order.organization}/${order.project}#${order.trainingNumber}`
}

/** What a run may change; `models` and `facts` are merged key by key, the rest is replaced. */
export type TrainingProgressFields = Pick<
  TrainingRecord,
  | 'state'
  | 'progress'
  | 'errors'
  | 'trainImageCount'
  | 'testImageCount'
  | 'skippedImageCount'
  | 'models'
  | 'modelId'
  | 'modelVersion'
  | 'best'
  | 'failedAttempts'
  | 'facts'
>

// Each of these is spread over one hash field per key, so that two writers of different keys do not undo each other.
const SPREAD = new Map([
  ['steps', 'step'],
  ['models', 'model'],
  ['facts', 'fact'],
])

/** Reads a hash of builds before records; undefined when there is none. Throws LF_RECORD_INVALID. */
export function parseTrainingRecord(key: string, hash: Readonly<Record<string, string>>): TrainingRecord | undefined {
  if (Object.keys(hash).length === 0) return undefined
  const record: Record<string, unknown> = {}
  for (const field of SPREAD.keys()) record[field] = {}
  try {
    for (const [field, text] of Object.entries(hash)) {
      const [target, key] = placeOf(record, field)
      // A format or a fact may be called "__proto__": define, do not assign.
      const value = FOR_SCRIPTS.has(field) ? text : JSON.parse(text)
      Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
    }
    return trainingRecordSchema.parse(record)
  } catch (error) {
    throw new RecordInvalidError(key, error)
  }
}

// These are no JSON.
const FOR_SCRIPTS = new Set(['name', 'seatUuid', 'runUse'])

function placeOf(record: Record<string, unknown>, field: string): [target: object, key: string] {
  for (const [spread, prefix] of SPREAD) {
    if (field.startsWith(`${prefix}:`)) return [Object(record[spread]), field.slice(prefix.length + 1)]
  }
  return [record, field]
}
