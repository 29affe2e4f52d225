import type { ImageSize } from '../../images/index.js'
import { roundToEven } from './round-to-even.js'

/**
 * How an image is brought to the model's input size: stretched, shrunk with a grey border (letterbox), or shrunk until
 * it covers the input and cut around the middle (crop).
 */
export type Fit = 'stretch' | 'letterbox' | 'crop'

/** Where the image lies on the input: input pixel = image pixel * scale + offset. */
export type Placement = {
  readonly imageWidth: number
  readonly imageHeight: number
  readonly scaleX: number
  readonly scaleY: number
  readonly offsetX: number
  readonly offsetY: number
}

/** The size that the image is brought to, and where its corner lies on the input: below 0 where it is cut. */
export type Layout = { readonly resized: ImageSize; readonly left: number; readonly top: number }

type Input = ImageSize & { readonly fit: Fit }

export const LETTERBOX_GREY = 114

/** All sizes and offsets are rounded as Ultralytics (letterbox) and torchvision (crop) do it. */
export function layoutOn(image: ImageSize, { width, height, fit }: Input): Layout {
  if (fit === 'stretch') return { resized: { width, height }, left: 0, top: 0 }
  if (fit === 'crop') {
    const resized = coveringSize(image, Math.max(width, height))
    const left = roundToEven((width - resized.width) / 2)
    const top = roundToEven((height - resized.height) / 2)
    return { resized, left, top }
  }
  const gain = Math.min(width / image.width, height / image.height)
  const edge = (length: number, most: number) => Math.min(most, Math.max(1, roundToEven(length * gain)))
  const resized = { width: edge(image.width, width), height: edge(image.height, height) }
  return { resized, left: Math.floor((width - resized.width) / 2), top: Math.floor((height - resized.height) / 2) }
}

/** How boxes are brought back to the image; the scales are those of the rounded size, as in Ultralytics. */
export function placementOn(image: ImageSize, input: Input): Placement {
  const { width: imageWidth, height: imageHeight } = image
  const { resized, left: offsetX, top: offsetY } = layoutOn(image, input)
  const scaleX = resized.width / imageWidth
  const scaleY = resized.height / imageHeight
  return { imageWidth, imageHeight, scaleX, scaleY, offsetX, offsetY }
}

function coveringSize({ width, height }: ImageSize, edge: number): ImageSize {
  if (width <= height) return { width: edge, height: Math.floor((edge * height) / width) }
  return { width: Math.floor((edge * width) / height), height: edge }
}
