import { randomUUID } from 'node:crypto'
import type { Logger } from '../../../../base/logger/index.js'
import type { AnnotationInput, AnnotationTool, ImagePoint, ToolResult } from '../../annotation-tool.js'
import { draw, drawNothingFound } from './drawing.js'
import { boxBetween } from './geometry.js'
import { beginAnew, createHistory, type SegmentationHistory } from './history.js'
import { createProposer, type Proposer, type ProposerOptions } from './proposer.js'

const MIN_BOX = 3
const MAX_STROKE_POINTS = 20_000

/**
 * The demo segmentation tool: a dragged box is outlined by GrabCut, strokes then mark background and with shift
 * foreground, each refines the same annotation; Enter ends it.
 */
export function createSegmentationTool(
  options: ProposerOptions,
  deps: { readonly log: Logger },
): AnnotationTool<SegmentationHistory> {
  const proposer = createProposer(options, deps)
  return {
    createHistory,
    start: () => proposer.start(),
    close: () => proposer.close(),
    handleUserInput: (input, history, { signal }) => handle(proposer, input, history, signal),
  }
}

async function handle(
  proposer: Proposer,
  input: AnnotationInput,
  history: SegmentationHistory,
  signal: AbortSignal,
): Promise<ToolResult> {
  const subject = `${input.organization}/${input.project}/${input.imageId}/${input.category.id}`
  // Another image or category: what was begun elsewhere is not gone on with here.
  if (history.subject !== subject) beginAnew(history, subject)
  if (input.keyDown === 'Enter' && (history.state === 'none' || history.state === 'idle')) beginAnew(history)
  else if (isRelease(input, history)) return await propose(proposer, input, history, signal)
  else follow(input, history)
  return { svg: draw(history, input.category.color) }
}

function isRelease({ eventType }: AnnotationInput, { state }: SegmentationHistory): boolean {
  return eventType === 'left_mouse_up' && (state === 'creating' || state === 'editing')
}

/** What needs no look into the image. */
function follow(
  { eventType, coordinate, path, isShiftKeyPressed }: AnnotationInput,
  history: SegmentationHistory,
): void {
  const isDown = eventType === 'left_mouse_down'
  if (isDown && (history.state === 'none' || history.state === 'creating')) {
    Object.assign(history, { state: 'creating', start: coordinate, box: boxBetween(coordinate, coordinate) })
  } else if (isDown) {
    const kind = isShiftKeyPressed ? 'foreground' : 'background'
    history.state = 'editing'
    history.strokes.push({ kind, points: [coordinate], width: brushWidth(history) })
  } else if (eventType === 'mouse_move' && history.state === 'creating') {
    history.box = boxBetween(history.start, coordinate)
  } else if (eventType === 'mouse_move' && history.state === 'editing') {
    extendStroke(history, path)
  }
}

async function propose(
  proposer: Proposer,
  input: AnnotationInput,
  history: SegmentationHistory,
  signal: AbortSignal,
): Promise<ToolResult> {
  const isFirst = history.state === 'creating'
  if (isFirst) history.box = boxBetween(history.start, input.coordinate)
  else extendStroke(history, input.path)
  const { box, strokes } = history
  if (box.width < MIN_BOX || box.height < MIN_BOX) {
    beginAnew(history) // a click is no box
    return { svg: '' }
  }
  const request = {
    imagePath: input.imagePath,
    box,
    strokes,
    outline: isFirst ? undefined : history.outline,
    epsilon: input.epsilon,
  }
  const outline = await proposer.propose(request, { signal })
  signal.throwIfAborted()
  if (outline === undefined && isFirst) {
    const svg = drawNothingFound(history)
    beginAnew(history)
    return { svg }
  }
  history.state = 'idle'
  if (outline === undefined) {
    history.strokes.pop() // it left nothing over; as if it had not been drawn
    return { svg: draw(history, input.category.color) }
  }
  if (isFirst) history.annotationId = randomUUID()
  history.outline = outline
  const annotation = {
    id: history.annotationId,
    shape: { points: [...outline] },
    image_id: input.imageId,
    category_id: input.category.id,
  }
  return { svg: draw(history, input.category.color), annotation }
}

function extendStroke({ strokes }: SegmentationHistory, path: readonly ImagePoint[]): void {
  const last = strokes.pop()
  if (last === undefined) return
  const before = strokes.reduce((sum, { points }) => sum + points.length, last.points.length)
  const added = path.slice(0, Math.max(0, MAX_STROKE_POINTS - before))
  strokes.push({ ...last, points: [...last.points, ...added] })
}

/** A brush that fits the object. */
function brushWidth({ box: { width, height } }: SegmentationHistory): number {
  return Math.max(3, Math.round(Math.sqrt(width * height) * 0.04))
}
