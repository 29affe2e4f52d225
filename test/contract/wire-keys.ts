// The keys of the protocol's tables, written out once more: here they judge, so they do not come from our schemas.

const status = ['id', 'name', 'state', 'errors', 'uptime', 'progress', 'pretrained_models', 'architecture', 'context']
const counts = ['train_image_count', 'test_image_count', 'skipped_image_count', 'hyperparameters']

/** `update_trainer` */
export const statusKeys = { '0.8': [...status, ...counts], current: status } as const

const metrics = ['trainer_id', 'confusion_matrix', 'train_image_count', 'test_image_count', 'hyperparameters']

/** Third argument of `update_training`. */
export const metricsKeys = { '0.8': metrics, current: [...metrics, 'trainer_name', 'best_epoch'] } as const

const lists = ['box_detections', 'point_detections', 'segmentation_detections', 'classification_detections']
const entry = [...lists, 'image_id']

/** One entry of the detections upload. */
export const detectionsKeys = { '0.8': [...entry, 'tags', 'date'], current: entry } as const
