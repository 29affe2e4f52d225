import { createHash } from 'node:crypto'
import { z } from 'zod'
import { failedAttemptSchema } from '../blame/attempt.js'
import type { FleetRecord, PayloadDefinition } from '../records/record-schema.js'

const conversionStates = ['waiting', 'running', 'converted', 'failed', 'aborted'] as const
type ConversionState = (typeof conversionStates)[number]

/** Why a conversion failed, or why its last run handed it back. */
const conversionFailureSchema = z.object({
  code: z.string(),
  message: z.string(),
  failure: z.enum(['transient', 'program', 'fatal']),
  hostId: z.string(),
  exitCode: z.int().nullable().optional(),
  signal: z.string().nullable().optional(),
  outOfMemory: z.boolean().optional(),
  /** The newest last. */
  lastLogLines: z.array(z.string()).optional(),
  at: z.number(),
})
export type ConversionFailure = z.infer<typeof conversionFailureSchema>

/** What is to be converted: one model of the Loop to one format. */
const conversionOrderSchema = z.object({
  converter: z.string(),
  organization: z.string(),
  project: z.string(),
  /** The project's path at the Loop, without /api. */
  resource: z.string(),
  modelId: z.string(),
  modelVersion: z.string(),
  sourceFormat: z.string(),
  targetFormat: z.string(),
})
export type ConversionOrder = z.infer<typeof conversionOrderSchema>

/** What only conversions have in their records. */
export const conversionPayloadSchema = z.object({
  order: conversionOrderSchema,
  /** Fingerprint of the definition that is used; a failed conversion is planned again when it changes. */
  definition: z.string(),
  /** How often the Loop lacked the format again after it had accepted it. */
  repeats: z.int().min(0),
  /** Runs in a row that handed it back because the Loop or the host failed. */
  delays: z.int().min(0),
  /** An upload that was begun and that no run has confirmed. */
  isUploading: z.boolean(),
  failure: conversionFailureSchema.nullable(),
  /** Programs that failed, the newest last. */
  failedAttempts: z.array(failedAttemptSchema).default([]),
  files: z.array(z.string()),
  seconds: z.number().nullable(),
  /** What people should know of its last run, such as a pattern that was switched off. */
  warnings: z.array(z.string()),
})
export type ConversionPayload = z.infer<typeof conversionPayloadSchema>

export const conversionDefinition: PayloadDefinition<ConversionPayload> = {
  kind: 'conversion',
  schema: conversionPayloadSchema,
}

/** A conversion as other rooms see it. */
export type ConversionRecord = Omit<ConversionPayload, 'delays' | 'isUploading'> & {
  readonly id: string
  readonly state: ConversionState
  readonly createdAt: number
  readonly updatedAt: number
  readonly endedAt: number | null
  readonly run: number
  readonly hostId: string | null
}

export function toConversion({ payload, host, ...head }: FleetRecord<ConversionPayload>): ConversionRecord {
  const { delays: _delays, isUploading: _isUploading, ...shown } = payload
  const { id, createdAt, updatedAt, endedAt, run } = head
  return { id, ...shown, state: stateOf(head), createdAt, updatedAt, endedAt, run, hostId: host }
}

function stateOf({ life, outcome }: Pick<FleetRecord<unknown>, 'life' | 'outcome'>): ConversionState {
  switch (life) {
    case 'waiting':
      return 'waiting'
    case 'claimed':
      return 'running'
    case 'ended':
      return outcome === 'converted' || outcome === 'aborted' ? outcome : 'failed'
    default:
      return life satisfies never
  }
}

/** The id of a conversion: the same model and format of the same converter always have the same. */
export function conversionIdOf(order: ConversionOrder): string {
  const { converter, organization, project, modelId, targetFormat } = order
  const text = JSON.stringify([converter, organization, project, modelId, targetFormat])
  // Begins with a letter, since BullMQ refuses ids that are numbers.
  return `c${createHash('sha256').update(text).digest('hex').slice(0, 15)}`
}
