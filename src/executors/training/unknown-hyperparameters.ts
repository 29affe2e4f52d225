import { isNear } from '../../base/index.js'
import type { TrainingOrder } from '../../loop/protocol/index.js'
import { COMPUTE_VALIDATION_SET } from '../dataset/index.js'
import { CONF_THRESHOLD, type TrainerDefinition } from '../definition/index.js'
import { hyperparameterFileNames } from './hyperparameter-file.js'

type Trainer = Pick<TrainerDefinition, 'name' | 'folder' | 'file' | 'hyperparameters' | 'hyperparameter_file'>
type Order = Pick<TrainingOrder, 'dialect' | 'hyperparameters' | 'categories'>

/** What loopfleet itself, or the Loop in the model's description, makes use of. */
const USED_BY_US = ['resolution', COMPUTE_VALIDATION_SET, CONF_THRESHOLD]
const SHOWN = 20

/**
 * A sentence about the order's hyperparameters that neither `hyperparameters` nor `hyperparameter_file` knows; undefined
 * if there are none. A trainer file without both leaves them to a program that reads training.json, so nothing is known.
 */
export async function warnOfUnknownHyperparameters(trainer: Trainer, order: Order): Promise<string | undefined> {
  const declared = Object.keys(trainer.hyperparameters)
  if (declared.length === 0 && trainer.hyperparameter_file === undefined) return undefined
  const known = [...declared, ...(await hyperparameterFileNames(trainer)), ...USED_BY_US]
  const unknown = Object.entries(order.hyperparameters)
    .filter(([name, value]) => !known.includes(name) && !isNoWish(order.dialect, name, value))
    .map(([name]) => withProposal(name, known))
  if (unknown.length === 0) return undefined
  const more = unknown.length > SHOWN ? ` and ${unknown.length - SHOWN} more` : ''
  const subject = unknown.length === 1 ? 'hyperparameter' : 'hyperparameters'
  return `Trainer "${trainer.name}" does not know the ${subject} ${unknown.slice(0, SHOWN).join(', ')}${more} of the order; the values are not used.`
}

/** What counts as not set, and what an order always has. */
function isNoWish(dialect: TrainingOrder['dialect'], name: string, value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true
  if (name === 'max_batch_size') return value === 0 // no limit
  return dialect === '0.8' && (name === 'flip_rl' || name === 'flip_ud') && value === false
}

function withProposal(name: string, known: readonly string[]): string {
  const near = name.length > 80 ? undefined : known.find((other) => other.length > 3 && isNear(other, name))
  const shown = JSON.stringify(name.slice(0, 80))
  return near === undefined ? shown : `${shown} (did you mean "${near}"?)`
}
