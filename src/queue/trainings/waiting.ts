import { z } from 'zod'
import type { TrainingOutcome, TrainingRecord } from './training-record.js'

/** Whether no host has the training. */
export function isWaiting({ life }: Pick<TrainingRecord, 'life'>): boolean {
  return life === 'waiting'
}

/** Its host has its data, and its program waits for slots there. */
export function waitsForSlots({ life, state }: Pick<TrainingRecord, 'life' | 'state'>): boolean {
  return life === 'claimed' && state === 'train_model_downloaded'
}

const stoppedResult = z.object({ stopped: z.literal(true) })

/** The outcome for people: a completed training counts as `stopped` if a stop ended its program or skipped its detection. */
export function shownOutcome({
  outcome,
  stopRequested,
  steps,
}: Pick<TrainingRecord, 'outcome' | 'stopRequested' | 'steps'>): TrainingOutcome | 'stopped' | null {
  const leftOut = stopRequested && steps['upload-detections'] === undefined
  const wasStopped = leftOut || stoppedResult.safeParse(steps.train?.result).success
  return outcome === 'completed' && wasStopped ? 'stopped' : outcome
}

export const NO_HOST = 'No host lives, so nothing is worked on: start a worker.'

/** The sentence that no host is alive; undefined if one is, or if there is no unfinished work. */
export function noHostSentence(
  unfinished: number,
  hosts: readonly { readonly isAlive: boolean }[],
): string | undefined {
  return unfinished === 0 || hosts.some(({ isAlive }) => isAlive) ? undefined : NO_HOST
}
