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

/** Null where nothing was measured: a share of nothing is unknown, not 0. */
export type Scores = { readonly precision: number | null; readonly recall: number | null; readonly f1: number | null }

/** Scores over all categories of a confusion matrix. */
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
  return { precision: share(tp, tp + fp), recall: share(tp, tp + fn), f1: share(2 * tp, 2 * tp + fp + fn) }
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole
}
