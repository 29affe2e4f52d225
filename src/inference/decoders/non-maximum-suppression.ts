import { type Box, iou } from './boxes.js'

export type Scored = { readonly box: Box; readonly confidence: number; readonly categoryIndex: number }

export type SuppressionOptions = {
  /** Of two boxes that overlap more than this, the less confident one goes. */
  readonly iouThreshold: number
  /** Only boxes of the same category suppress each other; false by default. */
  readonly perCategory?: boolean
  /** Only the most confident ones are looked at, which bounds the time on a noisy model; both limits are Ultralytics'. */
  readonly maxCandidates?: number
  readonly maxKept?: number
}

/** Greedy non-maximum suppression; returns the kept ones, most confident first, and leaves the input untouched. */
export function nonMaximumSuppression<T extends Scored>(candidates: readonly T[], options: SuppressionOptions): T[] {
  const { iouThreshold, perCategory = false, maxCandidates = 30_000, maxKept = 300 } = options
  const kept: T[] = []
  for (const candidate of byConfidence(candidates).slice(0, maxCandidates)) {
    if (kept.length >= maxKept) break
    const isSuppressed = kept.some(
      (winner) =>
        (!perCategory || winner.categoryIndex === candidate.categoryIndex) &&
        iou(winner.box, candidate.box) > iouThreshold,
    )
    if (!isSuppressed) kept.push(candidate)
  }
  return kept
}

function byConfidence<T extends Scored>(candidates: readonly T[]): T[] {
  return candidates.filter(({ confidence }) => Number.isFinite(confidence)).sort((a, b) => b.confidence - a.confidence)
}
