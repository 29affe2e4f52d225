import { randomUUID } from 'node:crypto'
import type { ConfusionMatrix } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { digestOf } from '../effects.js'
import { judgeMetrics } from '../judge/trainer-messages.js'
import { RefusedError } from '../refused-error.js'
import type { Project } from '../store/project.js'
import { latestTrainingOf } from './trainings.js'

/** Takes a new best state of a training: one more point of its chart, with a model of its own. */
export async function acceptMetrics(context: LoopContext, project: Project, value: unknown): Promise<void> {
  const metrics = judgeMetrics(value)
  const training = latestTrainingOf([project], metrics.trainer_id)?.training
  if (training === undefined) {
    throw new RefusedError(422, `update_training: trainer ${metrics.trainer_id} has no training in ${project.name}.`)
  }
  const known = new Set(project.record.categories.map(({ id }) => id))
  const stranger = Object.keys(metrics.confusion_matrix).find((id) => !known.has(id))
  if (stranger !== undefined) {
    throw new RefusedError(422, `update_training: confusion_matrix is keyed by category id, "${stranger}" is none.`)
  }
  const { confusion_matrix, train_image_count, test_image_count, hyperparameters, best_epoch } = metrics
  const counts = { train_image_count, test_image_count }
  const created = new Date(context.now()).toISOString()
  training.points.push({ model_id: randomUUID(), created, confusion_matrix, ...counts, hyperparameters, best_epoch })
  Object.assign(training, counts)
  await project.save()
  const digest = digestOf(metrics)
  await context.effects.record('metrics', [{ key: `${project.name}#${training.number}`, digest }])
}

export type Scores = { readonly precision: number; readonly recall: number; readonly f1: number }

/** Scores over all categories of a confusion matrix; 0 where nothing was found or nothing is there. */
export function scoresOf(matrix: ConfusionMatrix): Scores {
  const sum = { tp: 0, fp: 0, fn: 0 }
  for (const { tp, fp, fn } of Object.values(matrix)) {
    sum.tp += tp
    sum.fp += fp
    sum.fn += fn
  }
  return scores(sum)
}

export function scores({ tp, fp, fn }: { tp: number; fp: number; fn: number }): Scores {
  const precision = tp + fp === 0 ? 0 : tp / (tp + fp)
  const recall = tp + fn === 0 ? 0 : tp / (tp + fn)
  return { precision, recall, f1: tp === 0 ? 0 : (2 * precision * recall) / (precision + recall) }
}
