import { InferenceError } from '../basics/index.js'
import type { DecoderPlan } from './decoder-file.js'
import type { ModelOutput, OutputTensor } from './model-output.js'

/** One value of each entry: a coordinate, or the scores of a category. */
type Field = { readonly first: number; readonly step: number; readonly count: number }

/**
 * Throws LF_MODEL_OUTPUT where not one value of a field is a finite number. Weights of a training that diverged, or half
 * precision that overflows, make NaN of all that follows: "nothing found" would be no answer then. Single entries
 * without numbers are left out by the decoders.
 */
export function assertNumbers(output: ModelOutput, layout: DecoderPlan['layout']): void {
  const fields = fieldsOf(output, layout)
  const bad = fields.filter((field) => !hasNumber(output, field))
  const { masks } = output
  const badMasks = masks === undefined ? [] : planesOf(masks).filter((field) => !hasNumber(masks, field))
  if (bad.length + badMasks.length > 0) throw noNumbers(output, bad.length + badMasks.length)
}

/** Whether not one value of it is a finite number, whatever its layout is. */
export function isWithoutNumbers({ data }: OutputTensor): boolean {
  return !hasNumber({ data }, { first: 0, step: 1, count: data.length })
}

export function noNumbers({ dims }: OutputTensor, fields?: number): InferenceError {
  const where = fields === undefined ? '' : ` in ${fields} ${fields === 1 ? 'field' : 'fields'}`
  return new InferenceError(
    'LF_MODEL_OUTPUT',
    `The model answers NaN or infinity instead of numbers${where}; its training may have diverged, or half precision is not enough for it.`,
    { details: { dims } },
  )
}

function fieldsOf(output: ModelOutput, layout: DecoderPlan['layout']): Field[] {
  if (layout === 'classification') return [{ first: 0, step: 1, count: output.data.length }]
  if (layout === 'yolov8' || layout === 'grid') return planesOf(output)
  const [, entries = 0, width = 0] = output.dims
  return Array.from({ length: width }, (_, first) => ({ first, step: width, count: entries }))
}

/** Of a tensor that has its fields behind its first axis. */
function planesOf({ dims, data }: OutputTensor): Field[] {
  const planes = dims[1] ?? 0
  const count = planes === 0 ? 0 : data.length / planes
  return Array.from({ length: planes }, (_, plane) => ({ first: plane * count, step: 1, count }))
}

// Nearly always the first value is one, so that this takes no time.
function hasNumber({ data }: Pick<OutputTensor, 'data'>, { first, step, count }: Field): boolean {
  if (count === 0) return true
  for (let index = 0, at = first; index < count; index++, at += step) if (Number.isFinite(data[at])) return true
  return false
}
