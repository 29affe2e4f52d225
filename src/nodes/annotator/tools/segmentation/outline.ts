import type { ImagePoint } from '../../annotation-tool.js'
import type { Size } from './geometry.js'
import { openCv, withMats } from './open-cv.js'

// The polygon may be off the mask by so much of its length, and by so many pixels in any case.
const TOLERANCE = 0.0015
const MIN_TOLERANCE = 0.75
const MIN_AREA = 6

/**
 * The outline of the largest piece of a mask as a polygon through the corners of its pixels, so that it holds exactly
 * the area of the mask; thinned out by `epsilon` pixels. Undefined when there is no piece worth the name.
 */
export async function outlineOf(
  mask: Uint8Array,
  size: Size,
  epsilon: number | null,
): Promise<ImagePoint[] | undefined> {
  const { cv } = await openCv()
  return withMats((keep) => {
    const source = keep(new cv.Mat(size.height, size.width, cv.CV_8UC1))
    source.data.set(mask)
    const smooth = keep(new cv.Mat())
    cv.medianBlur(source, smooth, 3)
    const [labels, stats, centroids] = [keep(new cv.Mat()), keep(new cv.Mat()), keep(new cv.Mat())]
    const count = cv.connectedComponentsWithStats(smooth, labels, stats, centroids, 4, cv.CV_32S)
    let largest = 0
    for (let label = 1; label < count; label++) {
      if (largest === 0 || areaOf(label) > areaOf(largest)) largest = label
    }
    if (largest === 0 || areaOf(largest) < MIN_AREA) return undefined
    const start = labels.data32S.indexOf(largest)
    const corners = walkAround(labels.data32S, size, largest, start)
    const tolerance = Math.max(epsilon ?? Math.max(MIN_TOLERANCE, TOLERANCE * corners.length), 0)
    const curve = keep(
      cv.matFromArray(
        corners.length,
        1,
        cv.CV_32SC2,
        corners.flatMap(({ x, y }) => [x, y]),
      ),
    )
    const thinned = keep(new cv.Mat())
    cv.approxPolyDP(curve, thinned, tolerance, true)
    if (thinned.rows < 3) return corners
    return Array.from({ length: thinned.rows }, (_, i) => ({
      x: thinned.data32S[2 * i] ?? 0,
      y: thinned.data32S[2 * i + 1] ?? 0,
    }))

    function areaOf(label: number): number {
      return stats.intAt(label, cv.CC_STAT_AREA)
    }
  })
}

/** The corners passed while walking along the pixels' edges with the piece on the right hand, one per step. */
function walkAround(labels: Int32Array, { width, height }: Size, label: number, start: number): ImagePoint[] {
  const isInside = (x: number, y: number) =>
    x >= 0 && y >= 0 && x < width && y < height && labels[y * width + x] === label
  const first = { x: start % width, y: Math.floor(start / width) }
  const corners: ImagePoint[] = []
  let { x, y } = first
  let [dx, dy] = [1, 0] // along the upper edge of the topmost pixel
  do {
    corners.push({ x, y })
    x += dx
    y += dy
    // The two pixels ahead: the walk turns right where the piece ends, and left where it bulges.
    const [rightX, rightY] = [-dy, dx]
    if (!isInside(x + (dx + rightX - 1) / 2, y + (dy + rightY - 1) / 2)) [dx, dy] = [rightX, rightY]
    else if (isInside(x + (dx - rightX - 1) / 2, y + (dy - rightY - 1) / 2)) [dx, dy] = [-rightX, -rightY]
  } while (x !== first.x || y !== first.y)
  return corners
}
