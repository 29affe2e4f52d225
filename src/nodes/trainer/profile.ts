import type { PretrainedModel } from '../../loop/protocol/index.js'

/** What a trainer node reports to the Loop about its trainer; made from its definition by the command that starts the node. */
export type TrainerProfile = {
  /** The queue is `trainings.<name>`. */
  readonly name: string
  readonly architecture: string | null
  readonly models: readonly PretrainedModel[]
}
