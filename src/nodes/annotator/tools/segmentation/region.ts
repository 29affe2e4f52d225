import { readFile } from 'node:fs/promises'
import { decodeImage, type RgbImage } from '../../../../images/pixels/index.js'
import { type Box, boundsOf, clip, grow, type Size } from './geometry.js'
import type { ProposalRequest } from './proposal.js'

/** The part of an image that is looked at, as rows of RGB. */
export type Region = Size & {
  /** Its top left corner in the image. */
  readonly x: number
  readonly y: number
  readonly pixels: Uint8Array
  /** Where the object may lie, in pixels of the region; the rest is background for sure. */
  readonly area: Box
}

// Enough of the surroundings to learn the colours of the background.
const MARGIN = 0.35
const MIN_MARGIN = 12
const MAX_PIXELS = 64_000_000

/** Reads what is needed of the image; undefined when the box lies outside. Throws when it cannot be read. */
export async function readRegion(request: ProposalRequest): Promise<Region | undefined> {
  const image = await decodeImage(await readFile(request.imagePath), { maxPixels: MAX_PIXELS })
  const area = areaOf(request, image)
  if (area === undefined) return undefined
  const marginX = Math.max(MIN_MARGIN, Math.round(area.width * MARGIN))
  const marginY = Math.max(MIN_MARGIN, Math.round(area.height * MARGIN))
  const region = clip(grow(area, marginX, marginY), image)
  if (region === undefined) return undefined
  return {
    ...region,
    pixels: pixelsOf(image, region),
    area: { ...area, x: area.x - region.x, y: area.y - region.y },
  }
}

/** The box, and whatever foreground was drawn outside of it. */
function areaOf({ box, strokes }: ProposalRequest, size: Size): Box | undefined {
  const corners = strokes
    .filter(({ kind }) => kind === 'foreground')
    .flatMap(({ points, width }) => points.flatMap(({ x, y }) => [at(x - width, y - width), at(x + width, y + width)]))
  return clip(boundsOf(box, corners), size)
}

const at = (x: number, y: number) => ({ x, y })

function pixelsOf(image: RgbImage, { x, y, width, height }: Box): Uint8Array {
  const pixels = new Uint8Array(3 * width * height)
  for (let row = 0; row < height; row++) {
    const from = 3 * ((y + row) * image.width + x)
    pixels.set(image.pixels.subarray(from, from + 3 * width), 3 * row * width)
  }
  return pixels
}
