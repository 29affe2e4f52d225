import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { removeTree } from '../../base/index.js'
import type { ImageData } from '../../loop/protocol/index.js'
import { DATASET_FOLDER, DatasetError } from '../contract/index.js'
import { type DatasetFormat, datasetFormats } from './formats.js'
import type { DatasetWriter, ExportOptions } from './writing.js'

/** `trainCount` includes the validation images, as the Loop counts them. */
export type ExportCounts = { readonly trainCount: number; readonly valCount: number; readonly testCount: number }

/**
 * Writes the dataset of a training in the format its program reads. Images are linked, never changed. The folder
 * appears in one step when it is whole; an older one is replaced. Throws LF_BAD_DATASET when there is nothing to train on.
 */
export async function exportDataset(format: DatasetFormat, options: ExportOptions): Promise<ExportCounts> {
  const writer: DatasetWriter = datasetFormats[format]
  const images = writer.choose?.(options) ?? options.images
  const counts = countSets(images)
  checkImages(writer, images, counts)
  const finalFolder = join(options.folder, DATASET_FOLDER)
  const target = `${finalFolder}.partial`
  await removeTree(target)
  await mkdir(target, { recursive: true })
  await writer.write({ ...options, images, target, finalFolder })
  options.signal.throwIfAborted()
  await removeTree(finalFolder)
  await rename(target, finalFolder)
  return counts
}

function countSets(images: readonly ImageData[]): ExportCounts {
  const valCount = images.filter(({ set }) => set === 'val').length
  const testCount = images.filter(({ set }) => set === 'test').length
  return { trainCount: images.length - testCount, valCount, testCount }
}

// Only these may name files; what the Loop sends is an UUID, but a hostile one must not become a path or an option.
const IMAGE_ID = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/

function checkImages({ needsTestImages }: DatasetWriter, images: readonly ImageData[], counts: ExportCounts): void {
  const seen = new Set<string>()
  for (const { id } of images) {
    if (!IMAGE_ID.test(id)) {
      throw new DatasetError(`The image id ${JSON.stringify(id.slice(0, 80))} cannot name a file.`, { id })
    }
    if (seen.has(id)) throw new DatasetError(`The image ${id} is listed twice.`, { id })
    seen.add(id)
  }
  if (counts.trainCount === counts.valCount) {
    throw new DatasetError('The project has no image in the train set; label some first.')
  }
  if (needsTestImages !== undefined && counts.testCount + counts.valCount === 0) {
    throw new DatasetError(
      `The project has no image in the test set, which ${needsTestImages} needs; put some there first.`,
    )
  }
}
