import type { ImagePoint } from '../../annotation-tool.js'
import type { Box } from './geometry.js'
import type { Stroke } from './proposal.js'

/** What the segmentation tool remembers of a user: NONE → CREATING (drags the box) → IDLE ⇄ EDITING (draws a stroke). */
export type SegmentationHistory = {
  state: 'none' | 'creating' | 'idle' | 'editing'
  /** Image and category that the rest belongs to. */
  subject: string
  /** Where the box began. */
  start: ImagePoint
  box: Box
  readonly strokes: Stroke[]
  outline: readonly ImagePoint[]
  /** Chosen with the first outline; every correction repeats it. */
  annotationId: string
}

export function createHistory(): SegmentationHistory {
  return { ...blank(), strokes: [] }
}

/** Back to NONE, for the same or another subject. */
export function beginAnew(history: SegmentationHistory, subject = history.subject): void {
  history.strokes.length = 0
  Object.assign(history, blank(), { subject })
}

function blank() {
  return {
    state: 'none' as const,
    subject: '',
    start: { x: 0, y: 0 },
    box: { x: 0, y: 0, width: 0, height: 0 },
    outline: [],
    annotationId: '',
  }
}
