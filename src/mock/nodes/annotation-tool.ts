import type { AnnotationInput, AnnotationTool, ImagePoint } from '../../nodes/annotator/index.js'

/** Where the rectangle was begun; null while there is none. */
export type RectangleHistory = { start: ImagePoint | null }

/** What the mock tool answers to whatever it has no use for. */
export const NOTHING_TO_DO = 'nothing to do'

/**
 * The mock tool of the Python library: left mouse down starts a blue rectangle, moves resize it, left mouse up ends it.
 * Looks at no image and annotates nothing. `loopfleet annotator --tool dist/src/mock/nodes/annotation-tool.js` runs it.
 */
export function createTool(): AnnotationTool<RectangleHistory> {
  return {
    createHistory: () => ({ start: null }),
    handleUserInput: (input, history) => ({ svg: follow(input, history) }),
  }
}

function follow({ eventType, coordinate }: AnnotationInput, history: RectangleHistory): string {
  switch (eventType) {
    case 'left_mouse_down':
      history.start = coordinate
      return rectangle(coordinate, coordinate)
    case 'mouse_move':
      return history.start === null ? NOTHING_TO_DO : rectangle(history.start, coordinate)
    case 'left_mouse_up':
      history.start = null
      return ''
    default:
      return NOTHING_TO_DO
  }
}

function rectangle(a: ImagePoint, b: ImagePoint): string {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)]
  const [width, height] = [Math.abs(a.x - b.x), Math.abs(a.y - b.y)]
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" stroke="blue" stroke-width="2" fill="none"/>`
}
