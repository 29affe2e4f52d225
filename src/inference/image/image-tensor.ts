import type { ImageSource } from '../../images/index.js'
import { decodePixels } from '../../images/pixels/index.js'
import { type Fit, type Layout, LETTERBOX_GREY, layoutOn, type Placement, placementOn } from './placement.js'
import { resizeAntialiased, type Window } from './resize-antialiased.js'
import { resizeBilinear } from './resize-bilinear.js'

export type TensorOptions = {
  readonly width: number
  readonly height: number
  readonly fit: Fit
  /** Larger images are refused before they are decoded. */
  readonly maxPixels: number
}

/**
 * Fills `target` with the image as float32 RGB planes in 0…1 and returns where it lies. The filter is that of the model's
 * family: OpenCV's for a letterbox, Pillow's where an image is stretched or cut.
 */
export async function fillTensor(
  source: ImageSource,
  target: Float32Array,
  options: TensorOptions,
): Promise<Placement> {
  const image = await decodePixels(source, options.maxPixels)
  const layout = layoutOn(image, options)
  const window = windowOf(layout, options)
  const rows =
    options.fit === 'letterbox'
      ? resizeBilinear(image, layout.resized)
      : resizeAntialiased(image, layout.resized, window)
  paint(rows, { ...window, left: Math.max(0, layout.left), top: Math.max(0, layout.top) }, target, options)
  return placementOn(image, options)
}

/** The part of the resized image that lies on the input. */
function windowOf({ resized, left, top }: Layout, { width, height }: TensorOptions): Window {
  const [skippedX, skippedY] = [Math.max(0, -left), Math.max(0, -top)]
  return {
    left: skippedX,
    top: skippedY,
    width: Math.min(width, resized.width - skippedX),
    height: Math.min(height, resized.height - skippedY),
  }
}

const UNITS = Float32Array.from({ length: 256 }, (_, value) => value / 255)
const GREY = UNITS[LETTERBOX_GREY] ?? 0

function paint(rows: Uint8Array, place: Window, target: Float32Array, { width, height }: TensorOptions): void {
  const plane = width * height
  if (place.width !== width || place.height !== height) target.fill(GREY)
  let from = 0
  for (let y = 0; y < place.height; y++) {
    let to = (y + place.top) * width + place.left
    for (let x = 0; x < place.width; x++) {
      target[to] = UNITS[rows[from++] ?? 0] ?? 0
      target[to + plane] = UNITS[rows[from++] ?? 0] ?? 0
      target[to + 2 * plane] = UNITS[rows[from++] ?? 0] ?? 0
      to += 1
    }
  }
}
