import { LoopfleetError } from '../../base/index.js'
import type { LoopControl } from './loop-control.js'
import type { LoopImage } from './loop-views.js'
import { type DemoDeps, fact, type Parts } from './start-parts.js'

const PROJECT = 'outlines'
/** How far the box around an object is drawn from it, in pixels. */
const MARGIN = 12

type Point = { readonly x: number; readonly y: number }

/** What the demo saw of its annotator, for the summary. */
export type AnnotationFacts = {
  readonly points: number
  /** Overlap of the boxes around what was outlined and what is really there. */
  readonly box_iou: number
  /** Milliseconds from the end of the box to the outline. */
  readonly ms: number
}

/** Draws one box around an object, as a person would with the mouse, and reads back the outline that the annotator has made. */
export async function annotateOnce(
  parts: Parts,
  { control, view, context }: DemoDeps & { readonly control: LoopControl },
): Promise<AnnotationFacts> {
  view.say('\nOutlining an object with an annotator …')
  const config = { project_name: PROJECT, inbox: 1, segmentation_categories: 1, image_style: 'plain' }
  await control.generate(config, context.signal)
  const node = fact(await parts.start('annotator', []), 'uuid')
  await control.waitForNode(node, context.signal)
  const [image] = await control.images(PROJECT, { state: 'inbox', limit: 1 })
  const truth = image?.truth.segmentations[0]
  if (image === undefined || truth === undefined) throw failed('There is nothing to outline in the image.')
  const category = await control.category(PROJECT, truth.category_id)
  const { from, to } = around(truth.points, image)
  const say = async (event_type: string, coordinate: Point) => {
    const context = { organization: control.organization, project: PROJECT }
    await control.userInput(node, { coordinate, event_type, context, image_uuid: image.id, category })
  }
  await say('left_mouse_down', from)
  await say('mouse_move', to)
  const startedAt = performance.now()
  await say('left_mouse_up', to)
  const ms = Math.round(performance.now() - startedAt)
  const [again] = await control.images(PROJECT, { state: 'inbox', limit: 1 })
  const outline = again?.segmentation_annotations[0]?.shape.points
  if (outline === undefined) throw failed('The annotator has sent no annotation.')
  return { points: outline.length, box_iou: boxIou(outline, truth.points), ms }
}

function around(points: readonly Point[], { width, height }: LoopImage): { readonly from: Point; readonly to: Point } {
  const { left, top, right, bottom } = boundsOf(points)
  const clip = (value: number, size: number) => Math.round(Math.min(size - 1, Math.max(0, value)))
  return {
    from: { x: clip(left - MARGIN, width), y: clip(top - MARGIN, height) },
    to: { x: clip(right + MARGIN, width), y: clip(bottom + MARGIN, height) },
  }
}

function boxIou(a: readonly Point[], b: readonly Point[]): number {
  const [one, other] = [boundsOf(a), boundsOf(b)]
  const width = Math.max(0, Math.min(one.right, other.right) - Math.max(one.left, other.left))
  const height = Math.max(0, Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top))
  const area = ({ left, top, right, bottom }: typeof one) => (right - left) * (bottom - top)
  const both = width * height
  return Math.round((1000 * both) / (area(one) + area(other) - both)) / 1000
}

function boundsOf(points: readonly Point[]) {
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)]
  return { left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) }
}

function failed(message: string): LoopfleetError {
  return new LoopfleetError('LF_DEMO_FAILED', message)
}
