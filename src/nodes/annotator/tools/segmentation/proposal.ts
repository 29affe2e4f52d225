import type { ImagePoint } from '../../annotation-tool.js'
import type { Box } from './geometry.js'

/** A line drawn by hand that says what lies under it. */
export type Stroke = {
  readonly kind: 'foreground' | 'background'
  readonly points: readonly ImagePoint[]
  /** In pixels of the image. */
  readonly width: number
}

/** What is asked of the thread: the outline of what stands out in the box, in keeping with the strokes. */
export type ProposalRequest = {
  readonly imagePath: string
  readonly box: Box
  readonly strokes: readonly Stroke[]
  /** The outline so far, to begin from. */
  readonly outline: readonly ImagePoint[] | undefined
  readonly epsilon: number | null
}

/** Errors cross as data: a cloned Error loses its class and its code. */
export type ProposalAnswer =
  | { readonly ok: true; readonly outline: readonly ImagePoint[] | undefined }
  | { readonly ok: false; readonly message: string }
