import type { TrainingOrder } from '../loop/protocol/index.js'
import type { TrainerDefinition } from './definition.js'
import { OrderNotPossibleError } from './errors.js'
import type { PlaceholderValues } from './placeholders.js'

const SAFE_VARIANT = /^[\p{L}\p{N}_][\p{L}\p{N}_.+ -]{0,199}$/u

/** What an order puts into commands; checked, since the text comes over the network and ends in an argument list. */
export function orderValues(
  definition: Pick<TrainerDefinition, 'name' | 'models' | 'resolution'>,
  order: Pick<TrainingOrder, 'modelVariant' | 'hyperparameters'>,
): PlaceholderValues {
  return {
    model_variant: modelVariant(definition, order.modelVariant),
    resolution: resolutionOf(definition, order.hyperparameters.resolution),
  }
}

function modelVariant(definition: Pick<TrainerDefinition, 'name' | 'models'>, ordered: string): string | undefined {
  const names = definition.models.map((model) => model.name)
  if (ordered === '') return names[0]
  if (names.length === 0 ? SAFE_VARIANT.test(ordered) : names.includes(ordered)) return ordered
  const known = names.length === 0 ? 'use letters, digits, dots and dashes' : `use one of ${names.join(', ')}`
  const message = `Model variant ${JSON.stringify(ordered.slice(0, 80))} is not known to trainer "${definition.name}"; ${known}.`
  throw new OrderNotPossibleError(message, { trainer: definition.name, modelVariant: ordered.slice(0, 200) })
}

function resolutionOf(definition: Pick<TrainerDefinition, 'resolution'>, ordered: unknown): string | undefined {
  const value = ordered ?? definition.resolution
  if (value === undefined || value === null) return undefined
  const pixels = Number(value)
  if (Number.isInteger(pixels) && pixels > 0 && pixels <= 100_000) return String(pixels)
  throw new OrderNotPossibleError(`Resolution ${JSON.stringify(value)?.slice(0, 80)} is not a number of pixels.`, {
    resolution: value,
  })
}
