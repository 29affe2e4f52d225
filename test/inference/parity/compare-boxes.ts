import { type Box, iou } from '../../../src/inference/decoders/boxes.js'

export type ParityBox = { readonly category: string; readonly confidence: number; readonly box: Box }

/** Two boxes that are one finding. */
export type Pair = { readonly ours: ParityBox; readonly theirs: ParityBox }

/** A box that only one side has, and why that may be. */
export type Single = ParityBox & {
  readonly side: 'ours' | 'theirs'
  readonly excuse: 'threshold' | 'suppression' | undefined
}

export type Limits = { readonly threshold: number; readonly nmsIou: number }

export const MAX_PIXELS_APART = 2
const NEAR_THRESHOLD = 0.02
const NEAR_SUPPRESSION = 0.01

/** The largest distance between two edges, in pixels. */
export function pixelsApart(a: Box, b: Box): number {
  const edges = ['left', 'top', 'right', 'bottom'] as const
  return Math.max(...edges.map((edge) => Math.abs(a[edge] - b[edge])))
}

/** Matches one to one, the nearest first: boxes of one category whose edges are at most two pixels apart. */
export function compareBoxes(ours: readonly ParityBox[], theirs: readonly ParityBox[], limits: Limits) {
  const near = ours
    .flatMap((one) => theirs.map((other) => ({ ours: one, theirs: other, apart: pixelsApart(one.box, other.box) })))
    .filter((pair) => pair.ours.category === pair.theirs.category && pair.apart <= MAX_PIXELS_APART)
    .sort((a, b) => a.apart - b.apart)
  const taken = new Set<ParityBox>()
  const pairs: Pair[] = []
  for (const pair of near) {
    if (taken.has(pair.ours) || taken.has(pair.theirs)) continue
    taken.add(pair.ours).add(pair.theirs)
    pairs.push(pair)
  }
  const single = (side: Single['side'], own: readonly ParityBox[], others: readonly ParityBox[]): Single[] =>
    own.filter((one) => !taken.has(one)).map((one) => ({ ...one, side, excuse: excuseOf(one, others, limits) }))
  return { pairs, singles: [...single('ours', ours, theirs), ...single('theirs', theirs, ours)] }
}

function excuseOf(one: ParityBox, others: readonly ParityBox[], { threshold, nmsIou }: Limits): Single['excuse'] {
  if (one.confidence - threshold <= NEAR_THRESHOLD) return 'threshold'
  const rivals = others.filter(({ category, confidence }) => category === one.category && confidence >= one.confidence)
  const isAtLimit = rivals.some(({ box }) => Math.abs(iou(box, one.box) - nmsIou) <= NEAR_SUPPRESSION)
  return isAtLimit ? 'suppression' : undefined
}
