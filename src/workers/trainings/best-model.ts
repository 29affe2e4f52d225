import type { ModelEvent } from '../../executors/contract/index.js'
import type { ConfusionMatrix } from '../../loop/protocol/index.js'
import type { TrainingRecord } from '../../queue/index.js'

const MAX_CLASSES = 500 // in the record; the Loop gets all

/** What the record keeps of a new best model: only what was measured, F1 as reported or else from the counts. */
export function toBestModel(event: ModelEvent, epoch: number | null): NonNullable<TrainingRecord['best']> {
  const counts = event.confusion_matrix
  const count = Object.keys(counts).length
  return {
    epoch,
    f1: event.values?.f1 ?? f1Of(counts),
    classes: count === 0 || count > MAX_CLASSES ? undefined : counts,
  }
}

/** Over all categories; undefined when there was nothing to find and nothing was found. */
function f1Of(counts: ConfusionMatrix): number | undefined {
  let [hits, misses] = [0, 0]
  for (const { tp, fp, fn } of Object.values(counts)) {
    hits += tp
    misses += fp + fn
  }
  return hits + misses === 0 ? undefined : (2 * hits) / (2 * hits + misses)
}
