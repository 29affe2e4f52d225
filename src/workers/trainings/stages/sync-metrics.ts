import { NoModelError } from '../errors.js'
import { layOut } from '../lay-out-model.js'
import type { Stage, StageContext } from './stage.js'

/**
 * Waits until the Loop has acked the metrics of every model, then copies the files of the last acked model to `model/`, to
 * which `convert` adds files and from which `upload-model` uploads.
 */
export const syncMetrics: Stage = {
  name: 'sync-metrics',
  kind: 'upload',
  loopStates: { during: 'confusion_matrix_syncing', after: 'confusion_matrix_synced' },
  reportsProgress: false,
  errorKey: 'sync_confusion_matrix',
  onStop: 'continues',
  servesUpload: true,
  results: ({ paths }) => [paths.model],
  run,
}

async function run(context: StageContext) {
  const { training, signal } = context
  context.noteWaiting() // the node sends the points, and may wait for the Loop
  const { points, keptBack } = await training.metricsSync.flush(signal)
  const best = await training.modelSets.lastSynced()
  if (best === undefined) throw new NoModelError('No model of this training is left on disk.')
  await layOut(best, training)
  const which = best.epoch === null ? 'the newest, of unknown epoch,' : `that of epoch ${best.epoch}`
  context.say(`metrics of ${points} models at the Loop; ${which} is the one to upload`)
  if (keptBack > 0) context.say(`figures of ${keptBack} later models are in this log only, since their files are gone`)
  return { points, epoch: best.epoch }
}
