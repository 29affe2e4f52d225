import { coco } from './coco.js'
import { raw } from './raw.js'
import type { DatasetWriter } from './writing.js'
import { yolo } from './yolo.js'
import { yoloClassification } from './yolo-classification.js'

/** Every dataset format, under the name that a trainer gives as its `dataset`. */
export const datasetFormats = {
  raw,
  yolo,
  yolo_classification: yoloClassification,
  coco,
} as const satisfies Readonly<Record<string, DatasetWriter>>
export type DatasetFormat = keyof typeof datasetFormats
