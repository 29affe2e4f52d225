import type { ImagePoint } from '../../annotation-tool.js'
import type { SegmentationHistory } from './history.js'
import type { Stroke } from './proposal.js'

const FALLBACK = '#2563eb'
// Lines keep their width on the screen, however large the image is shown.
const LINE = 'fill="none" stroke-width="2" vector-effect="non-scaling-stroke"'

/** Everything there is to see, as SVG elements in pixels of the image. */
export function draw(history: SegmentationHistory, categoryColor: string | null): string {
  const color = safeColor(categoryColor)
  switch (history.state) {
    case 'none':
      return ''
    case 'creating':
      return box(history, color)
    case 'idle':
      return polygon(history.outline, color)
    case 'editing':
      return polygon(history.outline, color) + history.strokes.slice(-1).map(stroke).join('')
    default:
      return history.state satisfies never
  }
}

/** The box that was dragged, crossed out since nothing stood out in it. */
export function drawNothingFound({ box: { x, y, width, height } }: SegmentationHistory): string {
  const cross = `<path d="M${x} ${y}L${x + width} ${y + height}M${x + width} ${y}L${x} ${y + height}" stroke="#b91c1c" ${LINE}/>`
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" stroke="#b91c1c" ${LINE}/>${cross}`
}

function box({ box: { x, y, width, height } }: SegmentationHistory, color: string): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" stroke="${color}" stroke-dasharray="6 4" ${LINE}/>`
}

function polygon(outline: readonly ImagePoint[], color: string): string {
  const filled = `fill="${color}" fill-opacity="0.25" stroke="${color}" stroke-width="2" vector-effect="non-scaling-stroke"`
  return `<polygon points="${toText(outline)}" ${filled}/>`
}

function stroke({ kind, points, width }: Stroke): string {
  const color = kind === 'foreground' ? '#16a34a' : '#dc2626'
  const line = `fill="none" stroke="${color}" stroke-opacity="0.7" stroke-width="${width}" stroke-linecap="round"`
  return `<polyline points="${toText(points)}" ${line} stroke-linejoin="round"/>`
}

function toText(points: readonly ImagePoint[]): string {
  return points.map(({ x, y }) => `${x},${y}`).join(' ')
}

/** A category's colour is somebody's text and goes into an attribute: only what looks like a colour does. */
function safeColor(color: string | null): string {
  return color !== null && /^(#[0-9a-f]{3,8}|[a-z]{3,20})$/i.test(color) ? color : FALLBACK
}
