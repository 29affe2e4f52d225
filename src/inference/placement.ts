import type { ImageSize } from './image-size.js'

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

/** The part of the input that the image covers. */
export type Shown = { readonly width: number; readonly height: number; readonly left: number; readonly top: number }

type Input = ImageSize & { readonly fit: Fit }

export const LETTERBOX_GREY = 114 / 255

export function shownOn(image: ImageSize, { width, height, fit }: Input): Shown {
  if (fit !== 'letterbox') return { width, height, left: 0, top: 0 }
  const scale = Math.min(width / image.width, height / image.height)
  const shownWidth = Math.min(width, Math.max(1, Math.round(image.width * scale)))
  const shownHeight = Math.min(height, Math.max(1, Math.round(image.height * scale)))
  const left = Math.floor((width - shownWidth) / 2)
  const top = Math.floor((height - shownHeight) / 2)
  return { width: shownWidth, height: shownHeight, left, top }
}

export function placementOn(image: ImageSize, input: Input): Placement {
  const { width: imageWidth, height: imageHeight } = image
  if (input.fit === 'crop') {
    const scale = Math.max(input.width / imageWidth, input.height / imageHeight)
    const offsetX = (input.width - imageWidth * scale) / 2
    const offsetY = (input.height - imageHeight * scale) / 2
    return { imageWidth, imageHeight, scaleX: scale, scaleY: scale, offsetX, offsetY }
  }
  const shown = shownOn(image, input)
  const scaleX = shown.width / imageWidth
  const scaleY = shown.height / imageHeight
  return { imageWidth, imageHeight, scaleX, scaleY, offsetX: shown.left, offsetY: shown.top }
}
