import { createHash } from 'node:crypto'
import type { ImageData, TrainingOrder } from '../../loop/protocol/index.js'
import { DatasetError, OrderNotPossibleError } from '../contract/index.js'

/** The hyperparameter that asks for validation images when the Loop has set none aside. */
export const COMPUTE_VALIDATION_SET = 'compute_validation_set'
const SHARE = 0.1

/**
 * The images with their sets as the training uses them. If the Loop has `val` images they stay; otherwise, if the order
 * asks for it, about a tenth of the train images become `val`, by a hash of their ids, so that an image keeps its side
 * when new ones arrive. The rule is the Python library's, image by image. Throws LF_ORDER_NOT_POSSIBLE or LF_BAD_DATASET.
 */
export function assignValidationSet(
  images: readonly ImageData[],
  { hyperparameters }: Pick<TrainingOrder, 'hyperparameters'>,
): readonly ImageData[] {
  if (images.some(({ set }) => set === 'val') || !isAskedFor(hyperparameters)) return images
  const train = images.filter(({ set }) => set === 'train')
  if (train.length < 2) {
    const message = `The project has ${train.length} train images, too few to split a validation set off; label more, or order without "${COMPUTE_VALIDATION_SET}".`
    throw new DatasetError(message, { trainImages: train.length })
  }
  const low = train.filter(({ id }) => positionOf(id) < SHARE)
  const chosen = new Set((low.length > 0 ? low : [lowest(train)]).map(({ id }) => id))
  return images.map((image) => (chosen.has(image.id) && image.set === 'train' ? { ...image, set: 'val' } : image))
}

function isAskedFor(hyperparameters: TrainingOrder['hyperparameters']): boolean {
  const value = Object.hasOwn(hyperparameters, COMPUTE_VALIDATION_SET) ? hyperparameters[COMPUTE_VALIDATION_SET] : false
  if (typeof value === 'boolean') return value
  const shown = JSON.stringify(value)?.slice(0, 80)
  throw new OrderNotPossibleError(`Hyperparameter "${COMPUTE_VALIDATION_SET}" is ${shown}; it must be true or false.`, {
    hyperparameter: COMPUTE_VALIDATION_SET,
    value,
  })
}

function lowest(images: readonly ImageData[]): ImageData {
  return images.reduce((lower, image) => (positionOf(image.id) < positionOf(lower.id) ? image : lower))
}

/** Where an id stands between 0 and 1. */
function positionOf(id: string): number {
  return createHash('sha256').update(id).digest().readUInt32BE(0) / 2 ** 32
}
