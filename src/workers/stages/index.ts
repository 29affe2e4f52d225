import { cleanup } from './cleanup.js'
import { convert } from './convert.js'
import { detect } from './detect.js'
import { downloadData } from './download-data.js'
import { downloadModel } from './download-model.js'
import type { Stages } from './stage.js'
import { syncMetrics } from './sync-metrics.js'
import { train } from './train.js'
import { uploadDetections } from './upload-detections.js'
import { uploadModel } from './upload-model.js'

/** Every stage under the name of its job. */
export const allStages: Stages = {
  'download-data': downloadData,
  'download-model': downloadModel,
  train,
  'sync-metrics': syncMetrics,
  convert,
  'upload-model': uploadModel,
  detect,
  'upload-detections': uploadDetections,
  cleanup,
}
