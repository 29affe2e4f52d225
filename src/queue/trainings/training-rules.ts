import { randomInt } from 'node:crypto'
import { type TrainingRecord, trainingName } from './training-record.js'

// The rules of orders and retries that need no Redis.

/** Fields of an accepted training, besides its order and its seat. */
export const NEW_TRAINING = {
  endAckedAt: null,
  state: 'initialized',
  progress: null,
  errors: {},
  workerPid: null,
  steps: {},
  trainImageCount: null,
  testImageCount: null,
  skippedImageCount: null,
  models: {},
  modelId: null,
  modelVersion: null,
  best: null,
  failedAttempts: [],
  facts: {},
} as const satisfies Partial<TrainingRecord>

export function busySentence(holder: TrainingRecord): string {
  return `Trainer "${holder.seat.name}" is busy with training ${trainingName(holder.order)} (${holder.id}).`
}

export function elsewhereSentence(holder: TrainingRecord): string {
  return `Training ${trainingName(holder.order)} is already at trainer "${holder.seat.name}" (${holder.seat.uuid}) as ${holder.id}.`
}

export const reopenRefusals = ['unfinished', 'not-failed', 'replaced', 'busy', 'overtaken'] as const
/** The holder is the training that is in the way, if one is. */
export type ReopenRefusal = {
  readonly why: (typeof reopenRefusals)[number]
  readonly holder: TrainingRecord | undefined
}

export function reopenSentence(training: TrainingRecord, { why, holder }: ReopenRefusal): string {
  const what = `Training ${training.id} (${trainingName(training.order)})`
  switch (why) {
    case 'unfinished':
      return `${what} has not ended.`
    case 'not-failed':
      return `${what} was ${training.outcome}; only a failed one can be retried.`
    case 'replaced':
      return `${what} was ordered again as ${holder?.id ?? 'another one'}.`
    case 'overtaken':
      return overtakenSentence(what, training.seat.name, holder)
    case 'busy':
      return busySentence(holder ?? training)
    default:
      return why satisfies never
  }
}

function overtakenSentence(what: string, seat: string, newer: TrainingRecord | undefined): string {
  const other = newer === undefined ? 'another training' : `${trainingName(newer.order)} (${newer.id})`
  const since = `trainer "${seat}" has had ${other} since`
  return `${what} cannot be retried: ${since}, and the Loop would count its metrics for that one; order it again at the Loop.`
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz'
const CHARACTERS = `0123456789${LETTERS}`

// Begins with a letter, since BullMQ refuses ids that are numbers.
export function newTrainingId(): string {
  const rest = Array.from({ length: 11 }, () => CHARACTERS.charAt(randomInt(CHARACTERS.length)))
  return LETTERS.charAt(randomInt(LETTERS.length)) + rest.join('')
}
