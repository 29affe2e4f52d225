import { writeJsonFile } from '../../../base/index.js'
import { assignValidationSet, exportDataset } from '../../../executors/dataset/index.js'
import { commandValues } from '../../../executors/program/index.js'
import type { ImageData } from '../../../loop/protocol/index.js'
import { NoImagesError } from '../errors.js'
import { warnOfHyperparameters } from '../hyperparameter-warning.js'
import type { Stage, StageContext, StageDeps } from './stage.js'

/**
 * Downloads the ids, annotations and files of the images in state complete, and exports them in the format of the trainer.
 * Corrupt or missing images are skipped, counted and reported; any other missing data fails the stage.
 */
export const downloadData: Stage = {
  name: 'download-data',
  kind: 'download',
  loopStates: { during: 'data_downloading', after: 'data_downloaded' },
  reportsProgress: true,
  errorKey: 'prepare',
  onStop: 'ends',
  servesUpload: true,
  results: ({ paths }) => [paths.imageData],
  run,
}

async function run(context: StageContext, deps: StageDeps) {
  const { training, signal } = context
  const { organization, project } = training.order
  commandValues(training.definition, training.order, []) // so that an order that cannot be trained fails before the download
  await warnOfHyperparameters(context)
  const ids = await deps.rest.imageIds(organization, project, 'complete', { signal })
  if (ids.length === 0) throw new NoImagesError({ organization, project, set: 'complete' })

  const images = assignValidationSet(await fetchAll(ids, context, deps), training.order)
  await writeJsonFile(training.paths.imageData, { images })
  const { trainCount, valCount, testCount } = await exportDataset(training.definition.dataset, {
    folder: training.paths.workspace,
    images,
    imagePath: (id) => deps.images.imagePath(organization, project, id),
    categories: training.order.categories,
    signal,
  })
  if (trainCount === 0) throw new NoImagesError({ organization, project, set: 'train' })

  const counts = {
    trainImageCount: trainCount,
    testImageCount: testCount,
    skippedImageCount: ids.length - images.length,
  }
  await training.update(counts)
  const validation = valCount === 0 ? '' : ` (${valCount} of them for validation)`
  context.say(`${trainCount} train${validation} and ${testCount} test images, ${counts.skippedImageCount} skipped`)
  return counts
}

async function fetchAll(ids: readonly string[], context: StageContext, deps: StageDeps): Promise<ImageData[]> {
  const { organization, project } = context.training.order
  const { signal } = context
  const share = (from: number) => (done: number, total: number) =>
    context.progress({ progress: from + 0.5 * (total === 0 ? 1 : done / total) })
  const data = await deps.images.fetchImageData({ organization, project, ids, signal, onProgress: share(0) })
  const { available } = await deps.images.fetchImages({
    organization,
    project,
    ids: data.map((image) => image.id),
    signal,
    onProgress: share(0.5),
  })
  const there = new Set(available)
  return data.filter((image) => there.has(image.id))
}
