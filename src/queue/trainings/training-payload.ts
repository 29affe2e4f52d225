import type { z } from 'zod'
import type { FleetRecord, PayloadDefinition } from '../records/record-schema.js'
import { type TrainingRecord, trainingRecordSchema } from './training-record.js'

/** What only the pipeline of trainings understands of their records; the rest is in every record's head. */
export const trainingPayloadSchema = trainingRecordSchema.pick({
  order: true,
  seat: true,
  endAckedAt: true,
  state: true,
  progress: true,
  errors: true,
  workerPid: true,
  steps: true,
  trainImageCount: true,
  testImageCount: true,
  skippedImageCount: true,
  models: true,
  modelId: true,
  modelVersion: true,
  best: true,
  failedAttempts: true,
  facts: true,
})
export type TrainingPayload = z.infer<typeof trainingPayloadSchema>

export const trainingDefinition: PayloadDefinition<TrainingPayload> = {
  kind: 'training',
  schema: trainingPayloadSchema,
  spread: ['steps', 'models', 'facts'],
}

const outcomeSchema = trainingRecordSchema.shape.outcome.catch(null)

/** A training as other rooms see it. */
export function toTraining({
  payload,
  name,
  host,
  intent,
  outcome,
  ...head
}: FleetRecord<TrainingPayload>): TrainingRecord {
  const { id, life, requires, protocol, createdAt, startedAt, updatedAt, endedAt, run, fruitlessRuns, failures } = head
  return {
    ...payload,
    ...{ requires, protocol, failures, avoid: head.avoid, held: head.held },
    ...{ id, trainer: name, life, createdAt, startedAt, updatedAt, endedAt, run, fruitlessRuns, hostId: host },
    outcome: outcomeSchema.parse(outcome),
    stopRequested: intent !== null,
  }
}
