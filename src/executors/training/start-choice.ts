import { join } from 'node:path'
import type { TrainingOrder } from '../../loop/protocol/index.js'
import { OrderNotPossibleError } from '../contract/index.js'
import type { CommandTemplate, TrainerDefinition } from '../definition/index.js'
import { examineCheckpoint } from './whole-files/checkpoint-file.js'

/**
 * Whether the file of `train.resume_when` is there, or none is asked for, and no file of the checkpoint is torn. A torn
 * one is reported: the program would read it, fail, and fail again at each further start.
 */
export async function hasCheckpoint(
  definition: Pick<TrainerDefinition, 'train' | 'checkpoint'>,
  workspace: string,
  onTorn: (problem: string) => void = () => undefined,
): Promise<boolean> {
  const { resume, resume_when: file } = definition.train
  if (file === undefined && resume === undefined) return false
  const needed = file === undefined ? [] : [file]
  for (const name of new Set([...needed, ...(definition.checkpoint ?? [])])) {
    const found = await examineCheckpoint(join(workspace, name))
    if (found.state === 'torn') onTorn(`the checkpoint ${name} is not whole: ${found.problem}`)
    if (found.state === 'torn' || (found.state === 'missing' && name === file)) return false
  }
  return true
}

/** The command to start and whether it goes on from a checkpoint. Throws LF_ORDER_NOT_POSSIBLE. */
export async function chooseStart(options: {
  readonly definition: TrainerDefinition
  readonly workspace: string
  readonly order: TrainingOrder
  readonly resume: boolean
  /** Begin with the best model so far, which lies in the folder of the base model. */
  readonly bestModel?: boolean | undefined
}): Promise<{ readonly command: CommandTemplate; readonly resumes: boolean }> {
  const { definition, order } = options
  const resumes = options.resume && (await hasCheckpoint(definition, options.workspace))
  if (resumes && definition.train.resume !== undefined) return { command: definition.train.resume, resumes }
  if (options.bestModel && definition.train.continue !== undefined)
    return { command: definition.train.continue, resumes }
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
