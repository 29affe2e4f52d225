import { z } from 'zod'
import { type Context, categorySchema, contextSchema } from './category.js'
import { dialects } from './enums.js'
import { hyperparametersSchema } from './hyperparameters.js'
import { isUuid, loopIdSchema } from './ids.js'
import { beginTraining08Schema, beginTrainingCurrentSchema } from './orders.js'
import { describeError, ProtocolError, shown } from './protocol-error.js'

/** An order to train, in one form for both dialects. */
export const trainingOrderSchema = z.object({
  dialect: z.enum(dialects),
  organization: loopIdSchema,
  project: loopIdSchema,
  trainingNumber: z.int().min(0),
  categories: z.array(categorySchema),
  baseModel: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('none') }),
    z.object({ kind: z.literal('loop'), id: z.string().min(1) }),
    z.object({ kind: z.literal('pretrained'), name: z.string().min(1) }),
  ]),
  modelVariant: z.string(),
  hyperparameters: hyperparametersSchema,
})
export type TrainingOrder = z.infer<typeof trainingOrderSchema>
export type BaseModel = TrainingOrder['baseModel']

/**
 * Reads the three arguments of `begin_training` in either dialect; an order that fits both counts as current.
 * Throws LF_BAD_ORDER with the first field that is wrong.
 */
export function parseBeginTraining(organization: unknown, project: unknown, config: unknown): TrainingOrder {
  const context = parseWith(contextSchema, { organization, project })
  if (!isObject(config)) throw badOrder(`the third argument must be an object, got ${shown(config)}.`)
  return isCurrentOrder(config) ? parseCurrent(context, config) : parse08(context, config)
}

/** Parts of an accepted order that the trainer will ignore, as sentences for the log. */
export function warningsAboutOrder(config: unknown): string[] {
  const uuid = isObject(config) ? config.base_model_uuid : undefined
  if (typeof uuid !== 'string' || isUuid(uuid)) return []
  return [`begin_training: base_model_uuid ${shown(uuid)} is no uuid, so the training starts from scratch.`]
}

function parseCurrent(context: Context, config: object): TrainingOrder {
  const order = parseWith(beginTrainingCurrentSchema, config)
  const uuid = order.base_model_uuid
  return {
    dialect: 'current',
    ...context,
    trainingNumber: order.training_number,
    categories: order.categories,
    baseModel: uuid !== null && isUuid(uuid) ? { kind: 'loop', id: uuid } : { kind: 'none' },
    modelVariant: order.model_variant,
    hyperparameters: order.hyperparameters,
  }
}

function parse08(context: Context, config: object): TrainingOrder {
  const order = parseWith(beginTraining08Schema, config)
  const isLoopModel = isUuid(order.id)
  return {
    dialect: '0.8',
    ...context,
    trainingNumber: order.training_number,
    categories: order.categories,
    baseModel: isLoopModel ? { kind: 'loop', id: order.id } : { kind: 'pretrained', name: order.id },
    modelVariant: isLoopModel ? '' : order.id,
    hyperparameters: { resolution: order.resolution, flip_rl: order.flip_rl, flip_ud: order.flip_ud },
  }
}

// An order without `id` is not one of 0.8, so the errors of a broken current order are those of the current dialect.
function isCurrentOrder(config: Readonly<Record<string, unknown>>): boolean {
  if (typeof config.model_variant === 'string' && isObject(config.hyperparameters)) return true
  return !('id' in config) && ('model_variant' in config || 'hyperparameters' in config)
}

function parseWith<Schema extends z.ZodType>(schema: Schema, config: object): z.output<Schema> {
  const parsed = schema.safeParse(config)
  if (parsed.success) return parsed.data
  throw badOrder(describeError(parsed.error, config))
}

function badOrder(reason: string): ProtocolError {
  return new ProtocolError('LF_BAD_ORDER', `begin_training: ${reason}`)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
