import type { PretrainedModel } from '../../loop/protocol/index.js'

/** What a trainer node must tell the Loop about its trainer; made from a trainer definition by whoever starts it. */
export type TrainerProfile = {
  /** The queue is `trainings.<name>`. */
  readonly name: string
  readonly architecture: string | null
  readonly models: readonly PretrainedModel[]
}
