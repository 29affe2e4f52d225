import type { TrainingOrder } from '../../loop/protocol/index.js'
import { OrderNotPossibleError } from '../contract/index.js'
import type { TrainerDefinition } from './definition.js'

/** Hyperparameter of an order and key of `detect`: the confidence below which the model's detections do not count. */
export const CONF_THRESHOLD = 'conf_threshold'

type Trainer = Pick<TrainerDefinition, 'name' | 'detect'>

/** From 0 to 1: the order's, else the trainer file's; undefined if neither has one. Throws LF_ORDER_NOT_POSSIBLE. */
export function confThreshold(
  { name, detect }: Trainer,
  { hyperparameters }: Pick<TrainingOrder, 'hyperparameters'>,
): number | undefined {
  const ordered = Object.hasOwn(hyperparameters, CONF_THRESHOLD) ? hyperparameters[CONF_THRESHOLD] : undefined
  if (ordered === undefined || ordered === null || (typeof ordered === 'string' && ordered.trim() === ''))
    return detect?.conf_threshold
  const value = typeof ordered === 'number' || typeof ordered === 'string' ? Number(ordered) : Number.NaN
  if (value >= 0 && value <= 1) return value
  const shown = JSON.stringify(ordered)?.slice(0, 80)
  const message = `Hyperparameter "${CONF_THRESHOLD}" is ${shown}, but for trainer "${name}" it must be a number from 0 to 1.`
  throw new OrderNotPossibleError(message, { trainer: name, hyperparameter: CONF_THRESHOLD, value: ordered })
}
