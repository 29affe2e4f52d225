import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { linkOrCopy, removeTree } from '../../base/files.js'
import { NoModelError } from '../errors.js'
import type { Stage } from './stage.js'

/**
 * Waits until the Loop has acked the metrics of every model, then lays the last acked one out in `model/`,
 * where convert adds to it and upload takes it from.
 */
export const syncMetrics: Stage = async (context) => {
  const { training, signal } = context
  const { points } = await training.metricsSync.flush(signal)
  const best = await training.modelSets.lastSynced()
  if (best === undefined) throw new NoModelError('No model of this training is left on disk.')
  await removeTree(training.paths.model)
  await mkdir(training.paths.model, { recursive: true })
  for (const name of new Set(Object.values(best.files).flat())) {
    await linkOrCopy(join(best.folder, name), join(training.paths.model, name))
  }
  context.say(`metrics of ${points} models at the Loop, epoch ${best.epoch} is the one to upload`)
  return { points, epoch: best.epoch }
}
