import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { TRAINING_FILE, writeWorkspace } from '../../executors/contract/index.js'
import type { TrainingRun } from './training-run.js'

/** Writes `training.json` of this run: the order, for the programs of the trainer. */
export async function writeTrainingFile(
  { id, definition, order, paths }: TrainingRun,
  { bestModel = false }: { readonly bestModel?: boolean } = {},
): Promise<void> {
  await writeWorkspace({
    folder: paths.workspace,
    order,
    training: { id },
    dataset: definition.dataset,
    baseModel: bestModel || order.baseModel.kind === 'loop',
  })
}

/** As writeTrainingFile, unless it is there: on a host that has taken over after the training it is not. */
export async function ensureTrainingFile(training: TrainingRun): Promise<void> {
  const path = join(training.paths.workspace, TRAINING_FILE)
  await access(path).catch(() => writeTrainingFile(training))
}
