import type { TrainingOrder } from '../../loop/protocol/index.js'
import { OrderNotPossibleError, type VisibleGpu } from '../contract/index.js'
import {
  confThreshold,
  convertHyperparameter,
  isSafeText,
  ownConditions,
  type PlaceholderValues,
  type TrainerDefinition,
} from '../definition/index.js'

/** What fills the commands of one training, and which conditions hold. */
export type CommandValues = { readonly placeholders: PlaceholderValues; readonly given: ReadonlySet<string> }

type Hyperparameters = Pick<TrainerDefinition, 'name' | 'hyperparameters'>

/** Everything an order puts into commands; throws LF_ORDER_NOT_POSSIBLE naming the value that cannot be used. */
export function commandValues(
  definition: TrainerDefinition,
  order: Pick<TrainingOrder, 'modelVariant' | 'hyperparameters' | 'categories'>,
  gpus: readonly VisibleGpu[],
): CommandValues {
  const own = orderValues(definition, order)
  confThreshold(definition, order) // refused now, not when the training has its model
  const ordered = hyperparameterTexts(definition, order)
  const placeholders = [...ordered].map(([name, text]) => [`hyperparameters.${name}`, text] as const)
  const conditions = { ...own, gpus: gpus.length === 0 ? undefined : gpus.length }
  const given = ownConditions.filter((name) => conditions[name] !== undefined)
  return { placeholders: { ...own, ...Object.fromEntries(placeholders) }, given: new Set([...given, ...on(ordered)]) }
}

/** The declared hyperparameters that have a value, as text: the order's, or the trainer file's default. */
export function hyperparameterTexts(
  definition: Hyperparameters,
  order: Pick<TrainingOrder, 'hyperparameters' | 'categories'>,
): ReadonlyMap<string, string> {
  const ids = order.categories.map(({ id }) => id)
  const texts = Object.entries(definition.hyperparameters).map(([name, declaration]) => {
    const value = Object.hasOwn(order.hyperparameters, name) ? order.hyperparameters[name] : undefined
    const converted = convertHyperparameter(declaration, value, ids)
    if (!converted.ok) throw notPossible(definition.name, { name, value, problem: converted.problem })
    if (converted.text !== undefined || declaration.default === undefined) return [name, converted.text] as const
    const fallback = convertHyperparameter(declaration, declaration.default, ids)
    return [name, fallback.ok ? fallback.text : undefined] as const
  })
  return new Map(texts.flatMap(([name, text]) => (text === undefined ? [] : [[name, text]])))
}

/** The names for which an `if` holds: they have a value, and it is not `false`. */
export function on(texts: ReadonlyMap<string, string>): string[] {
  return [...texts].filter(([, text]) => text !== 'false').map(([name]) => name)
}

export function notPossible(
  trainer: string,
  { name, value, problem }: { readonly name: string; readonly value: unknown; readonly problem: string },
): OrderNotPossibleError {
  const shown = JSON.stringify(value)?.slice(0, 80)
  const message = `Hyperparameter "${name}" is ${shown}, but for trainer "${trainer}" it ${problem}.`
  return new OrderNotPossibleError(message, { trainer, hyperparameter: name, value })
}

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
  if (names.length === 0 ? isSafeText(ordered) : names.includes(ordered)) return ordered
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
