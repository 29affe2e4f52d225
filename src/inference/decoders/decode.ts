import type { DecoderPlan } from '../decoder-file.js'
import { decodeClassification } from './classification.js'
import { decodeGrid } from './grid.js'
import type { Decoded, ModelOutput } from './model-output.js'
import { decodeYolo } from './yolo.js'

/** Reads a model's output as its decoder.json says or, without one, as its shape tells. */
export function decode(output: ModelOutput, plan: DecoderPlan, categoryCount: number): Decoded {
  const common = { threshold: plan.threshold, categoryCount }
  switch (plan.layout) {
    case 'grid': {
      const { input, stride, nms_iou: iouThreshold } = plan
      return { kind: 'boxes', candidates: decodeGrid(output, { ...common, input, stride, iouThreshold }) }
    }
    case 'yolov5':
    case 'yolov8': {
      const { layout, nms_iou: iouThreshold } = plan
      return { kind: 'boxes', candidates: decodeYolo(output, { ...common, iouThreshold, layout }) }
    }
    case 'classification':
      return { kind: 'classes', scores: decodeClassification(output, { ...common, activation: plan.activation }) }
    case 'by-shape':
      if (output.dims.length === 2) return { kind: 'classes', scores: decodeClassification(output, common) }
      return { kind: 'boxes', candidates: decodeYolo(output, { ...common, iouThreshold: plan.nms_iou }) }
    default:
      return plan satisfies never
  }
}
