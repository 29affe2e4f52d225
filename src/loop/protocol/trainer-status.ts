import { z } from 'zod'
import { type Context, contextSchema } from './category.js'
import type { Dialect } from './enums.js'
import { type Hyperparameters, hyperparameters08Schema, toHyperparameters08 } from './hyperparameters.js'
import { listOf, orNull } from './optional.js'
import { type TrainerState, toStateText } from './trainer-states.js'

/** A model that a trainer can start from, offered to the Loop's users. */
export const pretrainedModelSchema = z.object({ name: z.string(), label: z.string(), description: z.string() })
export type PretrainedModel = z.infer<typeof pretrainedModelSchema>

const shared = {
  id: z.string().min(1),
  name: z.string(),
  state: z.string().describe('A sentence in dialect 0.8, else the raw name; see parseTrainerState.'),
  errors: z.record(z.string(), z.string()),
  uptime: orNull(z.number()).describe('Seconds.'),
  progress: orNull(z.number()),
  pretrained_models: listOf(pretrainedModelSchema),
  architecture: orNull(z.string()),
  context: orNull(contextSchema),
}

/** `update_trainer` of the current dialect. */
export const trainerStatusCurrentSchema = z.object(shared)
export type TrainerStatusCurrent = z.infer<typeof trainerStatusCurrentSchema>

/** `update_trainer` of dialect 0.8; its four further keys are always there, null or not. */
export const trainerStatus08Schema = z.object({
  ...shared,
  train_image_count: z.int().nullable(),
  test_image_count: z.int().nullable(),
  skipped_image_count: z.int().nullable(),
  hyperparameters: hyperparameters08Schema.nullable(),
})
export type TrainerStatus08 = z.infer<typeof trainerStatus08Schema>

/**
 * `update_trainer` of either dialect. A broken 0.8 status is an error and no current one, since the dialect decides
 * which orders the trainer gets.
 */
export const trainerStatusSchema = z.union([
  trainerStatus08Schema,
  trainerStatusCurrentSchema.extend({
    train_image_count: z.undefined().optional(),
    skipped_image_count: z.undefined().optional(),
  }),
])
export type TrainerStatus = z.infer<typeof trainerStatusSchema>

/** The dialect of a trainer, recognised by the shape of its status; nodes send no version. */
export function dialectOfTrainerStatus(status: object): Dialect {
  return 'train_image_count' in status || 'skipped_image_count' in status ? '0.8' : 'current'
}

/** What a seat knows about itself, in our words. */
export type TrainerStatusView = {
  readonly id: string
  readonly name: string
  readonly state: TrainerState
  readonly errors: Readonly<Record<string, string>>
  /** Since the run started in dialect 0.8, since the training was created in the current one. */
  readonly uptimeSeconds: number | null
  readonly progress: number | null
  readonly pretrainedModels: readonly PretrainedModel[]
  readonly architecture: string | null
  readonly context: Context | null
  readonly trainImageCount: number | null
  readonly testImageCount: number | null
  readonly skippedImageCount: number | null
  readonly hyperparameters: Readonly<Hyperparameters> | null
}

/** Builds `update_trainer`, in the dialect's spelling and with the dialect's keys only. */
export function toTrainerStatus(view: TrainerStatusView, dialect: '0.8'): TrainerStatus08
export function toTrainerStatus(view: TrainerStatusView, dialect: 'current'): TrainerStatusCurrent
export function toTrainerStatus(view: TrainerStatusView, dialect: Dialect): TrainerStatus
export function toTrainerStatus(view: TrainerStatusView, dialect: Dialect): TrainerStatus {
  const hasTraining = view.state !== 'idle'
  const status: TrainerStatusCurrent = {
    id: view.id,
    name: view.name,
    state: toStateText(view.state, dialect),
    errors: hasTraining ? { ...view.errors } : {},
    uptime: hasTraining ? seconds(view.uptimeSeconds) : null,
    progress: dialect === '0.8' || PROGRESS_STATES.has(view.state) ? fraction(view.progress) : null,
    pretrained_models: view.pretrainedModels.map(({ name, label, description }) => ({ name, label, description })),
    architecture: view.architecture,
    context: hasTraining && view.context !== null ? toContext(view.context) : null,
  }
  if (dialect === 'current') return status
  return {
    ...status,
    train_image_count: hasTraining ? view.trainImageCount : null,
    test_image_count: hasTraining ? view.testImageCount : null,
    skipped_image_count: hasTraining ? view.skippedImageCount : null,
    hyperparameters: hasTraining ? toHyperparameters08(view.hyperparameters) : null,
  }
}

// The current dialect knows a progress in these states only; dialect 0.8 reports it in every state.
const PROGRESS_STATES: ReadonlySet<TrainerState> = new Set(['data_downloading', 'running', 'detecting'])

function seconds(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : Math.max(0, value)
}

function fraction(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : Math.min(1, Math.max(0, value))
}

function toContext(context: Context): Context {
  return { organization: context.organization, project: context.project }
}
