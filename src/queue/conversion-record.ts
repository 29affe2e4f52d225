import { createHash } from 'node:crypto'
import { z } from 'zod'
import { RecordInvalidError } from './journal-errors.js'

export const conversionStates = ['waiting', 'running', 'converted', 'failed'] as const
export type ConversionState = (typeof conversionStates)[number]

/** Why a conversion failed, or what its last take stumbled over. */
export const conversionFailureSchema = z.object({
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
export const conversionOrderSchema = z.object({
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

/** All that is known about a conversion: the durable record in Redis. */
export const conversionRecordSchema = z.object({
  id: z.string(),
  order: conversionOrderSchema,
  /** Fingerprint of the definition it is done by; a failed one is tried again when that is another. */
  definition: z.string(),
  state: z.enum(conversionStates),
  createdAt: z.number(),
  updatedAt: z.number(),
  endedAt: z.number().nullable(),
  /** How often a host has taken it; also the fence. */
  run: z.int().min(0),
  /** Takes in a row whose worker died in them. */
  deaths: z.int().min(0),
  /** How often the Loop lacked the format again after it had taken it. */
  repeats: z.int().min(0),
  hostId: z.string().nullable(),
  failure: conversionFailureSchema.nullable(),
  files: z.array(z.string()),
  seconds: z.number().nullable(),
  /** What people should know of its last take, such as a pattern that was switched off. */
  warnings: z.array(z.string()).default([]),
})
export type ConversionRecord = z.infer<typeof conversionRecordSchema>

/** The id of a conversion: the same model and format of the same converter always have the same. */
export function conversionIdOf(order: ConversionOrder): string {
  const { converter, organization, project, modelId, targetFormat } = order
  const text = JSON.stringify([converter, organization, project, modelId, targetFormat])
  // Begins with a letter, since BullMQ refuses ids that are numbers.
  return `c${createHash('sha256').update(text).digest('hex').slice(0, 15)}`
}

/** Fields and values of a Redis hash; every value is JSON. */
export function toConversionPairs(fields: Partial<ConversionRecord>): string[] {
  return Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [field, JSON.stringify(value)]))
}

/** Reads a hash; undefined when there is none. Throws LF_RECORD_INVALID. */
export function parseConversionRecord(
  key: string,
  hash: Readonly<Record<string, string>>,
): ConversionRecord | undefined {
  if (Object.keys(hash).length === 0) return undefined
  try {
    const entries = Object.entries(hash).map(([field, text]): [string, unknown] => [field, JSON.parse(text)])
    return conversionRecordSchema.parse(Object.fromEntries(entries))
  } catch (error) {
    throw new RecordInvalidError(key, error)
  }
}
