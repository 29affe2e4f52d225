import { warnOfUnknownHyperparameters } from '../../executors/training/index.js'
import type { StageContext } from './stages/stage.js'

/** Reports to people and the Loop which hyperparameters of the order have no effect. Throws LF_BAD_TRAINER_FILE. */
export async function warnOfHyperparameters({
  training,
  warn,
}: Pick<StageContext, 'training' | 'warn'>): Promise<void> {
  const sentence = await warnOfUnknownHyperparameters(training.definition, training.order)
  if (sentence !== undefined) warn('hyperparameters', sentence)
}
