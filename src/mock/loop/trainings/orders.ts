import { z } from 'zod'
import { answerSchema, dialects, isUuid } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { checked } from '../judge/checks.js'
import type { LoopNode } from '../nodes.js'
import { RefusedError } from '../refused-error.js'
import { emitToNode } from '../socket/emit.js'
import type { Project } from '../store/project.js'
import type { TrainingRecord } from '../store/records.js'
import { latestTrainingOf, trainingByNumber } from './trainings.js'

const trainingRequestSchema = z.strictObject({
  trainer: z.string().min(1).describe('Id of the trainer; missing means the first idle one.').optional(),
  model_variant: z.string().optional(),
  base_model_uuid: z.string().nullish(),
  hyperparameters: z.record(z.string(), z.unknown()).default({}),
  dialect: z.enum(['union', ...dialects]).default('union'),
  training_number: z.int().min(1).describe('Sends the order of this training once more.').optional(),
  config: z.record(z.string(), z.unknown()).describe('Keys to put over the order, to try bad ones.').default({}),
})
export type TrainingRequest = z.input<typeof trainingRequestSchema>

export type OrderAnswer = { readonly training_number: number; readonly trainer: string; readonly ack: unknown }

const DEFAULT_RESOLUTION = 640

/** Orders a training at a trainer, as a person at the Loop would; returns what the trainer acknowledged. */
export async function orderTraining(context: LoopContext, project: Project, request: unknown): Promise<OrderAnswer> {
  const wanted = checked(trainingRequestSchema, request ?? {}, 'training')
  const repeated = wanted.training_number
  if (repeated !== undefined)
    return await repeatOrder(context, project, trainingByNumber(project, repeated), wanted.trainer)
  const trainer = chooseTrainer(context, wanted.trainer)
  const number = Math.max(0, ...project.record.trainings.map((training) => training.number)) + 1
  const training = toRecord(trainer, number, toOrder(project, trainer, number, wanted), context.now())
  project.record.trainings.push(training)
  await project.save()
  return await send(context, project, training, trainer)
}

async function repeatOrder(context: LoopContext, project: Project, training: TrainingRecord, trainerId?: string) {
  return await send(context, project, training, chooseTrainer(context, trainerId ?? training.trainer_id))
}

async function send(context: LoopContext, project: Project, training: TrainingRecord, trainer: LoopNode) {
  const { organization, project: name } = project.record
  context.changed()
  const ack = await emitToNode(context, trainer, 'begin_training', [organization, name, training.order])
  const refused = !answerSchema.safeParse(ack).data?.success
  if (refused && training.trainer_id === trainer.id && !training.seen_active && training.outcome === null) {
    training.outcome = 'refused'
    training.ended = new Date(context.now()).toISOString()
    training.errors = { begin_training: answerSchema.safeParse(ack).data?.error_msg ?? 'The trainer did not accept.' }
  } else if (!refused && training.trainer_id !== trainer.id) {
    training.trainer_id = trainer.id
  }
  await project.save()
  context.changed()
  return { training_number: training.number, trainer: trainer.id, ack }
}

/** Sends stop or abort to the trainer that has the training. */
export async function endTraining(
  context: LoopContext,
  project: Project,
  number: number,
  kind: 'stop' | 'abort',
): Promise<{ readonly ack: unknown }> {
  const training = trainingByNumber(project, number)
  if (training.ended !== null) throw new RefusedError(409, `Training ${number} of ${project.name} is over.`)
  const trainer = chooseTrainer(context, training.trainer_id)
  if (latestTrainingOf(context.store.projects(), trainer.id)?.training !== training) {
    throw new RefusedError(409, `Trainer ${trainer.name} is busy with another training.`)
  }
  if (training.requested !== 'abort') training.requested = kind
  await project.save()
  return { ack: await emitToNode(context, trainer, `${kind}_training`, []) }
}

function chooseTrainer(context: LoopContext, id: string | undefined): LoopNode {
  const trainers = context.nodes.list().filter(({ type, connected }) => type === 'trainer' && connected)
  if (id !== undefined) {
    const named = trainers.find((node) => node.id === id)
    if (named === undefined) throw new RefusedError(409, `Trainer ${id} is not connected.`)
    return named
  }
  const idle = trainers.find((node) => {
    const latest = latestTrainingOf(context.store.projects(), node.id)
    return node.state === 'idle' && (latest === undefined || latest.training.ended !== null)
  })
  if (idle === undefined) throw new RefusedError(409, `None of ${trainers.length} connected trainers is idle.`)
  return idle
}

function toOrder(project: Project, trainer: LoopNode, number: number, wanted: z.output<typeof trainingRequestSchema>) {
  const shared = { categories: project.record.categories, training_number: number }
  const variant = wanted.model_variant ?? firstPretrained(trainer)
  const base = wanted.base_model_uuid ?? null
  const { hyperparameters } = wanted
  const resolution = z.int().min(1).safeParse(hyperparameters.resolution).data ?? DEFAULT_RESOLUTION
  const order08 = {
    id: base !== null && isUuid(base) ? base : variant,
    resolution,
    flip_rl: hyperparameters.flip_rl === true,
    flip_ud: hyperparameters.flip_ud === true,
  }
  const orderCurrent = {
    model_variant: variant,
    base_model_uuid: base,
    hyperparameters: { resolution, ...hyperparameters },
  }
  if (wanted.dialect === '0.8') return { ...shared, ...order08, ...wanted.config }
  if (wanted.dialect === 'current') return { ...shared, ...orderCurrent, ...wanted.config }
  return { ...shared, ...order08, ...orderCurrent, ...wanted.config }
}

function firstPretrained(trainer: LoopNode): string {
  const models = z.array(z.looseObject({ name: z.string() })).safeParse(trainer.status.pretrained_models).data ?? []
  return models[0]?.name ?? ''
}

function toRecord(trainer: LoopNode, number: number, order: Record<string, unknown>, now: number): TrainingRecord {
  return {
    number,
    trainer_id: trainer.id,
    trainer_name: trainer.name,
    dialect: trainer.dialect ?? 'current',
    order,
    created: new Date(now).toISOString(),
    ended: null,
    outcome: null,
    seen_active: false,
    requested: null,
    state: 'idle',
    progress: null,
    errors: {},
    train_image_count: null,
    test_image_count: null,
    skipped_image_count: null,
    points: [],
    history: [],
  }
}
