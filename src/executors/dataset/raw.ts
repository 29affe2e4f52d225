import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { linkOrCopy, writeFileAtomic } from '../../base/index.js'
import type { ImageData } from '../../loop/protocol/index.js'
import type { DatasetWriter, DatasetWriting } from './writing.js'

/** The Loop's own data: `dataset.json` with categories and annotations, and `images/<id>.jpg`. */
export const raw: DatasetWriter = { write }

async function write(writing: DatasetWriting): Promise<void> {
  await mkdir(join(writing.target, 'images'))
  for (const { id } of writing.images) {
    writing.signal.throwIfAborted()
    await linkOrCopy(writing.imagePath(id), join(writing.target, 'images', `${id}.jpg`))
  }
  const content = { categories: writing.categories, images: writing.images.map(toRawImage) }
  await writeFileAtomic(join(writing.target, 'dataset.json'), JSON.stringify(content))
}

function toRawImage(image: ImageData) {
  return {
    id: image.id,
    file: `images/${image.id}.jpg`,
    set: image.set,
    width: image.width,
    height: image.height,
    box_annotations: image.box_annotations ?? [],
    point_annotations: image.point_annotations ?? [],
    segmentation_annotations: image.segmentation_annotations ?? [],
    classification_annotation: image.classification_annotation ?? null,
  }
}
