import type { TrainerState } from '../../src/loop/protocol/index.js'

/**
 * How a seat in a training names its states to a Loop of dialect 0.8. The protocol's table once more: here it judges, so
 * it does not come from our own code.
 */
export const trainingTexts08 = {
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
} as const satisfies Partial<Record<TrainerState, string>>

/** The states in which the current dialect tells a progress. */
export const statesWithProgress: readonly string[] = ['data_downloading', 'running', 'detecting']
