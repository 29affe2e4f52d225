import type { ImagePoint } from '../../annotation-tool.js'
import { likelyForeground } from './likely-foreground.js'
import { openCv, withMats } from './open-cv.js'
import type { ProposalRequest, Stroke } from './proposal.js'
import type { Region } from './region.js'

/** Which cells of a shrunk region are foreground (1) or background (0), row by row. */
export type Cells = {
  readonly width: number
  readonly height: number
  readonly isForeground: Uint8Array
  /** RGB of the cells. */
  readonly pixels: Uint8Array
}

// GrabCut needs about a microsecond per pixel and iteration.
const MAX_CELLS = 40_000
const ITERATIONS = 2
const MIN_STROKE = 2

/** GrabCut on the region, shrunk to so many cells that a person does not have to wait. */
export async function cutCells(region: Region, request: ProposalRequest): Promise<Cells> {
  const { cv } = await openCv()
  const scale = Math.min(1, Math.sqrt(MAX_CELLS / (region.width * region.height)))
  const width = Math.max(1, Math.round(region.width * scale))
  const height = Math.max(1, Math.round(region.height * scale))
  const toCell = ({ x, y }: ImagePoint) =>
    new cv.Point(
      Math.floor(((x - region.x) * width) / region.width),
      Math.floor(((y - region.y) * height) / region.height),
    )

  return withMats((keep) => {
    const full = keep(new cv.Mat(region.height, region.width, cv.CV_8UC3))
    full.data.set(region.pixels)
    const image = keep(new cv.Mat())
    cv.resize(full, image, new cv.Size(width, height), 0, 0, cv.INTER_AREA)
    const mask = keep(new cv.Mat(height, width, cv.CV_8UC1, new cv.Scalar(cv.GC_BGD)))
    const { area } = region
    const corner = toCell({ x: area.x + region.x, y: area.y + region.y })
    const far = toCell({ x: area.x + area.width - 1 + region.x, y: area.y + area.height - 1 + region.y })
    cv.rectangle(mask, corner, far, new cv.Scalar(cv.GC_PR_BGD), cv.FILLED)
    if (request.outline === undefined) {
      const cells = { x: corner.x, y: corner.y, width: far.x - corner.x + 1, height: far.y - corner.y + 1 }
      const smooth = keep(new cv.Mat())
      cv.blur(image, smooth, new cv.Size(3, 3))
      const likely = likelyForeground(smooth.data, { width, height }, cells)
      mask.data.forEach((value, cell) => {
        if (value === cv.GC_PR_BGD && likely?.[cell] !== 0) mask.data[cell] = cv.GC_PR_FGD
      })
    }
    if (request.outline !== undefined) {
      const corners = request.outline.flatMap((point) => {
        const { x, y } = toCell(point)
        return [x, y]
      })
      const polygon = keep(cv.matFromArray(request.outline.length, 1, cv.CV_32SC2, corners))
      const polygons = keep(new cv.MatVector())
      polygons.push_back(polygon)
      cv.fillPoly(mask, polygons, new cv.Scalar(cv.GC_PR_FGD))
    }
    for (const stroke of request.strokes) draw(stroke)
    keepSomeBackground(mask.data, width, height, cv.GC_BGD)
    const [background, foreground] = [keep(new cv.Mat()), keep(new cv.Mat())]
    if (mask.data.some((cell) => cell === cv.GC_FGD || cell === cv.GC_PR_FGD)) {
      cv.grabCut(image, mask, new cv.Rect(0, 0, 1, 1), background, foreground, ITERATIONS, cv.GC_INIT_WITH_MASK)
    }
    return {
      width,
      height,
      isForeground: mask.data.map((cell) => (cell === cv.GC_FGD || cell === cv.GC_PR_FGD ? 1 : 0)),
      pixels: image.data.slice(),
    }

    function draw({ kind, points, width: thickness }: Stroke): void {
      const value = new cv.Scalar(kind === 'foreground' ? cv.GC_FGD : cv.GC_BGD)
      const brush = Math.max(MIN_STROKE, Math.round(thickness * scale))
      const cells = points.map(toCell)
      cells.forEach((cell, index) => {
        cv.line(mask, cells[index - 1] ?? cell, cell, value, brush)
      })
    }
  })
}

/** A box around the whole image leaves nothing to learn the background from; its edge is taken then. */
function keepSomeBackground(mask: Uint8Array, width: number, height: number, background: number): void {
  if (mask.includes(background)) return
  for (let x = 0; x < width; x++) mask[x] = mask[(height - 1) * width + x] = background
  for (let y = 0; y < height; y++) mask[y * width] = mask[y * width + width - 1] = background
}
