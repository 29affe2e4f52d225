import type { CurvePoint, TrainingProgressFields, TrainingRecord } from '../../queue/index.js'
import type { Reached } from './furthest.js'

/** The record of a training for one run of it, and what else Redis keeps of that training. */
export type RunStore = {
  /** As Redis has it now; throws LF_RECORD_LOST. */
  record(): Promise<TrainingRecord>
  /** Refused if this run is superseded. */
  update(patch: Partial<TrainingProgressFields>): Promise<void>
  /** How far the training program has come; written with the next update. */
  reached(step: Reached): void
  /** Throws RunSupersededError when another host has taken over; called directly before every effect outside. */
  checkFence(): Promise<void>
  addPoints(points: readonly CurvePoint[]): Promise<void>
  appendLog(text: string): Promise<void>
}
