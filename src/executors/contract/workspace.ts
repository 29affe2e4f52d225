import { join } from 'node:path'
import { z } from 'zod'
import { readJsonFile, writeJsonFile } from '../../base/index.js'
import { categorySchema, type TrainingOrder } from '../../loop/protocol/index.js'

/** What `training.json` holds: everything a training program must know, in the wire's spelling. */
export const trainingFileSchema = z.object({
  version: z.literal(1),
  id: z.string(),
  organization: z.string(),
  project: z.string(),
  training_number: z.int(),
  categories: z.array(categorySchema),
  hyperparameters: z.record(z.string(), z.unknown()),
  model_variant: z.string(),
  dataset: z.object({ format: z.string(), folder: z.string() }),
  base_model: z.object({ folder: z.string() }).nullable(),
  resume: z.boolean(),
})
type TrainingFile = z.infer<typeof trainingFileSchema>

export const TRAINING_FILE = 'training.json'
export const DATASET_FOLDER = 'dataset'
export const BASE_MODEL_FOLDER = 'base_model'
/** The commands of tests to the mock trainer over its node's backdoor, one JSON line each. */
export const BACKDOOR_FILE = 'backdoor.jsonl'

export type WorkspaceOptions = {
  /** The workspace itself, in which the program is started. */
  readonly folder: string
  readonly order: TrainingOrder
  readonly training: { readonly id: string }
  /** Format of the dataset that was exported to `<folder>/dataset`. */
  readonly dataset: string
  /** Whether the files of the model to continue lie in `<folder>/base_model`. */
  readonly baseModel?: boolean
  /** Whether the program goes on from its checkpoint; startTraining corrects it. */
  readonly resume?: boolean
}

/** Writes `training.json`; the dataset exporter and the model download fill the folders it names. */
export async function writeWorkspace(options: WorkspaceOptions): Promise<void> {
  const { folder, order, training } = options
  const content: TrainingFile = {
    version: 1,
    id: training.id,
    organization: order.organization,
    project: order.project,
    training_number: order.trainingNumber,
    categories: order.categories,
    hyperparameters: order.hyperparameters,
    model_variant: order.modelVariant,
    dataset: { format: options.dataset, folder: DATASET_FOLDER },
    base_model: options.baseModel === true ? { folder: BASE_MODEL_FOLDER } : null,
    resume: options.resume ?? false,
  }
  await writeJsonFile(join(folder, TRAINING_FILE), content)
}

/** Writes for the program whether it resumes from its checkpoint. */
export async function setResume(folder: string, resume: boolean): Promise<void> {
  const path = join(folder, TRAINING_FILE)
  const content = await readJsonFile(path, trainingFileSchema.loose())
  if (content !== undefined && content.resume !== resume) await writeJsonFile(path, { ...content, resume })
}
