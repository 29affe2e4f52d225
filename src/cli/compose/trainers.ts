import { fileURLToPath } from 'node:url'
import { hostEnvironment } from '../../config/index.js'
import type { TrainerDefinition } from '../../executors/definition/index.js'
import { loadTrainer } from '../../executors/plugin/index.js'
import type { CliContext } from '../context.js'

const MOCK_TRAINER = fileURLToPath(new URL('../../mock/nodes/mock-trainer.js', import.meta.url))

/** Reads a trainer file, YAML or plug-in; `mock` is the trainer that trains nothing. */
export function readTrainer(file: string, { log }: Pick<CliContext, 'log'>): Promise<TrainerDefinition> {
  return loadTrainer(file === 'mock' ? MOCK_TRAINER : file, { env: hostEnvironment(), log })
}
