import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { linkOrCopy, safePathSegment } from '../../base/index.js'
import type { Category, ImageData } from '../../loop/protocol/index.js'
import { DatasetError } from '../contract/index.js'
import type { DatasetWriter, DatasetWriting, ExportOptions } from './writing.js'

/** `<set>/<category>/<id>.jpg` for `train`, `test` and `val`; categories without an image have no folder. */
export const yoloClassification: DatasetWriter = { choose: classified, needsTestImages: 'YOLO', write }

/** The images that have a classification of one of these categories; the others say nothing to such a training. */
function classified({ images, categories }: Pick<ExportOptions, 'images' | 'categories'>): ImageData[] {
  const ids = new Set(categories.map(({ id }) => id))
  return images.filter((image) => ids.has(image.classification_annotation?.category_id ?? ''))
}

async function write(writing: DatasetWriting): Promise<void> {
  const folders = foldersOf(writing.categories)
  for (const image of writing.images) {
    writing.signal.throwIfAborted()
    const name = folders.get(image.classification_annotation?.category_id ?? '')
    if (name === undefined) continue
    const folder = join(writing.target, image.set, name)
    await mkdir(folder, { recursive: true })
    await linkOrCopy(writing.imagePath(image.id), join(folder, `${image.id}.jpg`))
  }
}

/** The scripts know a class by the name of its folder alone, so it must be a good and a single one. */
function foldersOf(categories: readonly Category[]): Map<string, string> {
  const names = new Map<string, string>()
  for (const { id, name } of categories) {
    if (!isFolderName(name)) {
      const shown = JSON.stringify(name.slice(0, 80))
      throw new DatasetError(`The category name ${shown} cannot name a folder, as YOLO classification needs.`, { id })
    }
    if ([...names.values()].includes(name)) {
      throw new DatasetError(`Two categories are called "${name}", which YOLO classification cannot tell apart.`, {
        id,
      })
    }
    names.set(id, name)
  }
  return names
}

function isFolderName(name: string): boolean {
  // A dot in front is passed over by the scripts, a dash is an option, and labels are read back line by line.
  if (/^[.\-\s]|\s$|[\p{Cc}\u2028\u2029\\]/u.test(name)) return false
  try {
    return safePathSegment(name) === name
  } catch {
    return false // the sentence above says why
  }
}
