import { decodeClassification } from './classification.js'
import type { DecoderPlan } from './decoder-file.js'
import { decodeGrid } from './grid.js'
import type { Decoded, ModelOutput } from './model-output.js'
import { assertNumbers } from './numbers.js'
import { decodeYolo } from './yolo.js'

export type ModelFacts = {
  readonly categoryCount: number
  /** In pixels. */
  readonly input: { readonly width: number; readonly height: number }
}

/** Reads a model's output as the plan says. Throws LF_MODEL_OUTPUT when it does not have that shape, or holds no numbers. */
export function decode(output: ModelOutput, plan: DecoderPlan, facts: ModelFacts): Decoded {
  const decoded = read(output, plan, facts)
  assertNumbers(output, plan.layout)
  return decoded
}

function read(output: ModelOutput, plan: DecoderPlan, { categoryCount, input }: ModelFacts): Decoded {
  const common = { threshold: plan.threshold, categoryCount }
  switch (plan.layout) {
    case 'grid': {
      const { input: size, stride, nms_iou: iouThreshold } = plan
      return { kind: 'boxes', candidates: decodeGrid(output, { ...common, input: size, stride, iouThreshold }) }
    }
    case 'yolov5':
    case 'yolov8':
    case 'end-to-end': {
      const { layout, nms_iou: iouThreshold } = plan
      return { kind: 'boxes', candidates: decodeYolo(output, { ...common, iouThreshold, layout, input }) }
    }
    case 'classification':
      return { kind: 'classes', scores: decodeClassification(output, { ...common, activation: plan.activation }) }
    default:
      return plan satisfies never
  }
}
