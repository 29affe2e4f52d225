import { join } from 'node:path'
import type { TrainingOrder } from '../loop/protocol/index.js'
import type { CommandTemplate, TrainerDefinition } from './definition.js'
import { OrderNotPossibleError } from './errors.js'
import { examineCheckpoint } from './whole-files/checkpoint-file.js'

/**
 * Whether the file of `train.resume_when` is there and whole, or none is asked for. A torn one is told of: the program
 * would read it, fail, and fail again at each further start.
 */
export async function hasCheckpoint(
  definition: Pick<TrainerDefinition, 'train'>,
  workspace: string,
  onTorn: (problem: string) => void = () => undefined,
): Promise<boolean> {
  const { resume, resume_when: file } = definition.train
  if (file === undefined) return resume !== undefined
  const checkpoint = await examineCheckpoint(join(workspace, file))
  if (checkpoint.state === 'torn') onTorn(`the checkpoint ${file} is not whole: ${checkpoint.problem}`)
  return checkpoint.state === 'whole'
}

/** The command to start and whether it goes on from a checkpoint. Throws LF_ORDER_NOT_POSSIBLE. */
export async function chooseStart(options: {
  readonly definition: TrainerDefinition
  readonly workspace: string
  readonly order: TrainingOrder
  readonly resume: boolean
}): Promise<{ readonly command: CommandTemplate; readonly resumes: boolean }> {
  const { definition, order } = options
  const resumes = options.resume && (await hasCheckpoint(definition, options.workspace))
  if (resumes && definition.train.resume !== undefined) return { command: definition.train.resume, resumes }
  return { command: firstCommand(definition, order), resumes }
}

function firstCommand(definition: TrainerDefinition, order: TrainingOrder): CommandTemplate {
  if (order.baseModel.kind !== 'loop') return definition.train.scratch
  if (definition.train.continue !== undefined) return definition.train.continue
  throw new OrderNotPossibleError(
    `The order continues model ${order.baseModel.id}, but trainer "${definition.name}" has no "train.continue"; add one to its file or order from scratch.`,
    { trainer: definition.name, baseModel: order.baseModel.id },
  )
}
