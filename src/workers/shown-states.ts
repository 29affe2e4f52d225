import type { TrainerState } from '../loop/protocol/index.js'
import type { Stage } from '../queue/names.js'

/** The state the Loop sees while a step runs, and when it is done; null leaves it as it is. */
export const shownStates: Record<Stage, { readonly during: TrainerState | null; readonly after: TrainerState | null }> =
  {
    'download-data': { during: 'data_downloading', after: 'data_downloaded' },
    'download-model': { during: null, after: null },
    train: { during: 'running', after: 'training_finished' },
    'sync-metrics': { during: 'confusion_matrix_syncing', after: 'confusion_matrix_synced' },
    convert: { during: null, after: null },
    'upload-model': { during: 'train_model_uploading', after: 'train_model_uploaded' },
    detect: { during: 'detecting', after: 'detected' },
    'upload-detections': { during: 'detection_uploading', after: null },
    cleanup: { during: 'ready_for_cleanup', after: null },
  }

/** What showing a state writes to the journal; each state begins without a progress of its own. */
export function showing(state: TrainerState | null): { state?: TrainerState; progress?: null } {
  return state === null ? {} : { state, progress: null }
}
