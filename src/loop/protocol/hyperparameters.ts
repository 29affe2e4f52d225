import { z } from 'zod'

/** Hyperparameters as dialect 0.8 reports them: camel case here, snake case in `begin_training`. */
export const hyperparameters08Schema = z.object({ resolution: z.int(), flipRl: z.boolean(), flipUd: z.boolean() })
export type Hyperparameters08 = z.infer<typeof hyperparameters08Schema>

/** Free hyperparameters of the current dialect; usual keys are `resolution`, `epochs`, `fliplr`, `flipud`. */
export const hyperparametersSchema = z.record(z.string(), z.unknown())
export type Hyperparameters = z.infer<typeof hyperparametersSchema>

/** Reports an order's hyperparameters in dialect 0.8; null when there is no integer `resolution` among them. */
export function toHyperparameters08(order: Readonly<Hyperparameters> | null): Hyperparameters08 | null {
  const resolution = z.int().safeParse(order?.resolution)
  if (order === null || !resolution.success) return null
  return { resolution: resolution.data, flipRl: order.flip_rl === true, flipUd: order.flip_ud === true }
}
