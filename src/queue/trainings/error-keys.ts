import type { TrainerState } from '../../loop/protocol/index.js'

/** Key under which the Loop sees an error that no step has thrown (loop-protocol: trainer state machine). */
export function errorKeyOf(state: TrainerState): string {
  switch (state) {
    case 'idle':
    case 'blocked':
    case 'initialized':
    case 'waiting_for_slot':
    case 'preparing':
    case 'data_downloading':
      return 'prepare'
    case 'data_downloaded':
    case 'train_model_downloading':
      return 'download_model'
    case 'train_model_downloaded':
    case 'running':
      return 'run_training'
    case 'training_finished':
    case 'confusion_matrix_syncing':
      return 'sync_confusion_matrix'
    case 'confusion_matrix_synced':
    case 'train_model_uploading':
      return 'upload_model'
    case 'train_model_uploaded':
    case 'detecting':
      return 'detecting'
    case 'detected':
    case 'detection_uploading':
      return 'upload_detections'
    case 'ready_for_cleanup':
      return 'cleanup'
    default:
      return state satisfies never
  }
}
