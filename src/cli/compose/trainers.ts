import { hostEnvironment } from '../../config/load.js'
import type { TrainerDefinition } from '../../executors/definition.js'
import { loadTrainer } from '../../executors/load-trainer.js'
import type { CliContext } from '../context.js'

/** Reads a trainer file, YAML or plug-in. */
export function readTrainer(file: string, { log }: Pick<CliContext, 'log'>): Promise<TrainerDefinition> {
  return loadTrainer(file, { env: hostEnvironment(), log })
}
