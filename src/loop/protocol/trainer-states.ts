import type { Dialect } from './enums.js'

/**
 * States of a trainer in the order in which a training passes through them, in the current spelling. `blocked` (idle, but
 * another trainer has the machine) and `waiting_for_slot` come from releases newer than 0.20.1 only.
 */
export const trainerStates = [
  'idle',
  'blocked',
  'initialized',
  'waiting_for_slot',
  'preparing',
  'data_downloading',
  'data_downloaded',
  'train_model_downloading',
  'train_model_downloaded',
  'running',
  'training_finished',
  'confusion_matrix_syncing',
  'confusion_matrix_synced',
  'train_model_uploading',
  'train_model_uploaded',
  'detecting',
  'detected',
  'detection_uploading',
  'ready_for_cleanup',
] as const
export type TrainerState = (typeof trainerStates)[number]

const TEXTS_08: Readonly<Record<TrainerState, string>> = {
  idle: 'idle',
  blocked: 'blocked', // dialect 0.8 has no such state
  waiting_for_slot: 'waiting_for_slot', // nor this one
  initialized: 'Training is initialized',
  preparing: 'unknown state',
  data_downloading: 'Downloading data',
  data_downloaded: 'Data downloaded',
  train_model_downloading: 'Downloading model',
  train_model_downloaded: 'Model downloaded',
  running: 'running',
  training_finished: 'Training finished',
  confusion_matrix_syncing: 'Syncing confusion matrix',
  confusion_matrix_synced: 'Confusion matrix synced',
  train_model_uploading: 'Uploading trained model',
  train_model_uploaded: 'Trained model uploaded',
  detecting: 'detecting',
  detected: 'Detections calculated',
  detection_uploading: 'Uploading detections',
  ready_for_cleanup: 'Cleaning training',
}

/** The sentence with which dialect 0.8 reports a state. */
export function stateText08(state: TrainerState): string {
  return TEXTS_08[state]
}

/** A state as a dialect reports it. */
export function toStateText(state: TrainerState, dialect: Dialect): string {
  return dialect === '0.8' ? stateText08(state) : state
}

/**
 * Reads a reported state; undefined when it is none. Both dialects are asked for the raw name as well, since releases
 * 0.10 and 0.11 report raw names in a status of the 0.8 shape.
 */
export function parseTrainerState(text: string, dialect: Dialect): TrainerState | undefined {
  const byName = trainerStates.find((state) => state === text)
  if (byName !== undefined || dialect === 'current') return byName
  return trainerStates.find((state) => TEXTS_08[state] === text)
}
