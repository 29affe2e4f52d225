import { join } from 'node:path'
import { safePathSegment } from '../../base/index.js'
import type { TrainingOrder } from '../../loop/protocol/index.js'

/** Where a training's files lie on this host; all paths are absolute. */
export type WorkspacePaths = {
  /** Working directory of the training program. */
  readonly workspace: string
  readonly log: string
  readonly imageData: string
  readonly baseModel: string
  /** The base model of the order while the best model of the training lies in its place. */
  readonly orderedBaseModel: string
  /** One folder per model the program reported, see model-sets.ts. */
  readonly models: string
  /** The files that are uploaded: the best model and what convert made of it. */
  readonly model: string
  /** The model as the Loop hands it out again, with its version. */
  readonly deployedModel: string
  readonly detections: string
}

export function workspacePaths(dataFolder: string, order: TrainingOrder, trainingId: string): WorkspacePaths {
  const project = join(dataFolder, safePathSegment(order.organization), safePathSegment(order.project))
  const workspace = join(project, 'trainings', safePathSegment(trainingId))
  return {
    workspace,
    log: join(workspace, 'last_training.log'),
    imageData: join(workspace, 'image-data.json'),
    baseModel: join(workspace, 'base_model'),
    orderedBaseModel: join(workspace, 'base_model_of_the_order'),
    models: join(workspace, 'models'),
    model: join(workspace, 'model'),
    deployedModel: join(workspace, 'deployed_model'),
    detections: join(workspace, 'detections'),
  }
}
