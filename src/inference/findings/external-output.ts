import { type ImageSize, readFileSize } from '../../images/index.js'
import { InferenceError } from '../basics/index.js'
import type { InferenceCategory } from './findings.js'

/** An image for the program; its size is read from the file if it is not given. */
export type ExternalImage = { readonly id: string; readonly path: string } & Partial<ImageSize>

/** What a detect command wrote is wrong; the program has failed, although it ended well. */
export function outputError(what: string): InferenceError {
  return new InferenceError('LF_DETECT_OUTPUT', `${what}.`, { failure: 'program' })
}

/** The image's size, from the caller or from its file. */
export async function sizeOf(image: ExternalImage): Promise<ImageSize> {
  const { width, height } = image
  return width !== undefined && height !== undefined ? { width, height } : await readFileSize(image.path)
}

/** Checks a confidence the program wrote: a number that is not finite is undefined, one outside 0…1 an error. */
export function checkConfidence(value: number, where: string): number | undefined {
  if (!Number.isFinite(value)) return undefined
  if (value >= 0 && value <= 1) return value
  throw outputError(`${where}: confidence ${value} is not within 0…1`)
}

export function categoryAt(categories: readonly InferenceCategory[], index: number, where: string): InferenceCategory {
  const category = Number.isInteger(index) ? categories[index] : undefined
  if (category !== undefined) return category
  throw outputError(`${where}: class ${index} is not one of the ${categories.length} categories`)
}
