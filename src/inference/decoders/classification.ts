import { type ModelOutput, outputError, toConfidence } from './model-output.js'

export type ClassificationOptions = {
  readonly threshold: number
  readonly categoryCount: number
  /** By default scores that are not already probabilities (0…1, sum one) get a softmax. */
  readonly activation?: 'softmax' | 'none'
}

export type ClassScore = { readonly categoryIndex: number; readonly confidence: number }

const MAX_CLASSES = 5 // as many as the public scripts report

/** Reads `[1, C]`: the five best categories at or above the threshold, most confident first. */
export function decodeClassification(output: ModelOutput, options: ClassificationOptions): ClassScore[] {
  const [batch, count] = output.dims
  if (output.dims.length !== 2 || batch !== 1 || count !== options.categoryCount || output.data.length !== count) {
    throw outputError(output, `[1, ${options.categoryCount}] for ${options.categoryCount} categories`)
  }
  const scores: ClassScore[] = []
  for (const [categoryIndex, value] of probabilities([...output.data], options.activation).entries()) {
    const confidence = toConfidence(value)
    if (confidence !== undefined && confidence >= options.threshold) scores.push({ categoryIndex, confidence })
  }
  return scores.sort((a, b) => b.confidence - a.confidence).slice(0, MAX_CLASSES)
}

function probabilities(values: readonly number[], activation?: 'softmax' | 'none'): readonly number[] {
  if (activation === 'none' || (activation === undefined && sumToOne(values))) return values
  const logits = values.map((value) => (Number.isFinite(value) ? value : Number.NEGATIVE_INFINITY))
  const highest = Math.max(...logits)
  const powers = logits.map((logit) => Math.exp(logit - highest))
  const sum = powers.reduce((total, power) => total + power, 0)
  return powers.map((power) => power / sum)
}

function sumToOne(values: readonly number[]): boolean {
  const sum = values.reduce((total, value) => total + value, 0)
  return values.every((value) => value >= 0 && value <= 1) && Math.abs(sum - 1) < 0.01
}
