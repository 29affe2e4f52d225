import { join, resolve } from 'node:path'
import { readJsonFile } from '../../../base/index.js'
import { EVENTS_FILE, TRAINING_FILE, trainingFileSchema, visibleGpus } from '../../contract/index.js'
import { createReports } from './reports.js'
import type { Training } from './trainer-logic.js'

export type OpenTrainingOptions = {
  /** Absolute; holds training.json. */
  readonly workspace: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
  readonly resume?: boolean
}

/** The training of a workspace as the hooks see it. Throws LF_FILE_INVALID, or an Error when there is none. */
export async function openTraining({ workspace, env, signal, resume }: OpenTrainingOptions): Promise<Training> {
  const file = await readJsonFile(join(workspace, TRAINING_FILE), trainingFileSchema)
  if (file === undefined) throw new Error(`There is no ${TRAINING_FILE} in ${workspace}.`)
  return {
    id: file.id,
    organization: file.organization,
    project: file.project,
    trainingNumber: file.training_number,
    categories: file.categories,
    hyperparameters: file.hyperparameters,
    modelVariant: file.model_variant,
    folder: workspace,
    dataset: { ...file.dataset, folder: resolve(workspace, file.dataset.folder) },
    baseModel: file.base_model === null ? null : { folder: resolve(workspace, file.base_model.folder) },
    resume: resume ?? file.resume,
    gpus: visibleGpus(env.CUDA_VISIBLE_DEVICES),
    signal,
    report: createReports({ eventsFile: eventsFileOf(workspace, env), folder: workspace }),
  }
}

/** Where a program that was started for this workspace reports. */
export function eventsFileOf(workspace: string, env: OpenTrainingOptions['env']): string {
  return env.LOOPFLEET_EVENTS ?? join(workspace, EVENTS_FILE)
}
