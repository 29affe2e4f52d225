// An annotation tool of your own: drag a box, and its ellipse becomes the annotation; dragging again makes a new one.
//
//   loopfleet annotator --tool examples/annotation-tools/ellipse.mjs --name ellipse
//
// `createTool` is called once. `createHistory` makes what the tool remembers of one user between two inputs; it is
// thrown away on Escape, on an error, on logout and after an hour without input.
import { randomUUID } from 'node:crypto'

const CORNERS = 36

export function createTool({ log }) {
  log.info('ellipse tool loaded')
  return {
    createHistory: () => ({ start: undefined }),
    handleUserInput(input, history) {
      const { eventType, coordinate } = input
      if (eventType === 'left_mouse_down') history.start = coordinate
      if (history.start === undefined) return { svg: '' }

      const points = ellipse(history.start, coordinate)
      const svg = `<polygon points="${points.map(({ x, y }) => `${x},${y}`).join(' ')}" fill="none" stroke="magenta"/>`
      if (eventType !== 'left_mouse_up') return { svg }

      history.start = undefined
      const { imageId, category } = input
      return { svg, annotation: { id: randomUUID(), shape: { points }, image_id: imageId, category_id: category.id } }
    },
  }
}

/** The ellipse in the box between two corners, in whole pixels. */
function ellipse(a, b) {
  return Array.from({ length: CORNERS }, (_, i) => {
    const angle = (2 * Math.PI * i) / CORNERS
    return {
      x: Math.round((a.x + b.x) / 2 + (Math.abs(a.x - b.x) / 2) * Math.cos(angle)),
      y: Math.round((a.y + b.y) / 2 + (Math.abs(a.y - b.y) / 2) * Math.sin(angle)),
    }
  })
}
