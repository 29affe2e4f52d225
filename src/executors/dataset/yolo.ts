import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { linkOrCopy, writeFileAtomic } from '../../base/index.js'
import type { Category, ImageData, ImageSet } from '../../loop/protocol/index.js'
import { DatasetError } from '../contract/index.js'
import { type Box, checkSize, clipBox, squareAround } from './boxes.js'
import { type DatasetWriter, type DatasetWriting, setsOf } from './writing.js'
import { stringifyForPython } from './yaml-for-python.js'

/**
 * `train/`, `test/` and, if there are validation images, `val/` with `<id>.jpg` and `<id>.txt` (`class xc yc w h`,
 * relative, 6 decimals), and `dataset.yaml`. The class is the category's place in the list; points become squares of
 * the category's `point_size`.
 */
export const yolo: DatasetWriter = { needsTestImages: 'YOLO', write }

async function write(writing: DatasetWriting): Promise<void> {
  checkFolder(writing.finalFolder)
  const sets = setsOf(writing.images)
  for (const set of sets) await mkdir(join(writing.target, set))
  const classes = new Map(writing.categories.map((category, index) => [category.id, { index, category }]))
  for (const image of writing.images) {
    writing.signal.throwIfAborted()
    const stem = join(writing.target, image.set, image.id)
    await linkOrCopy(writing.imagePath(image.id), `${stem}.jpg`)
    await writeFile(`${stem}.txt`, labelLines(image, classes))
  }
  const names = writing.categories.map(({ name }) => name)
  await writeFileAtomic(join(writing.target, 'dataset.yaml'), datasetYaml(writing.finalFolder, sets, names))
}

/** The scripts look for labels where the last `images` of the path is replaced by `labels`, and find nothing there. */
function checkFolder(folder: string): void {
  if (!folder.split('/').includes('images')) return
  throw new DatasetError(
    `The dataset folder ${folder} lies below a folder called "images", where YOLO does not find its labels; use another data folder or project name.`,
    { folder },
  )
}

function labelLines(image: ImageData, classes: ReadonlyMap<string, { index: number; category: Category }>): string {
  checkSize(image)
  const boxes = (image.box_annotations ?? []).flatMap((box) => {
    const found = classes.get(box.category_id)
    return found === undefined ? [] : [labelLine(found.index, box, image)]
  })
  const points = (image.point_annotations ?? []).flatMap((point) => {
    const found = classes.get(point.category_id)
    return found === undefined ? [] : [labelLine(found.index, squareAround(point, found.category), image)]
  })
  return [...boxes, ...points].flatMap((line) => (line === undefined ? [] : [`${line}\n`])).join('')
}

// YOLO takes an image with one value outside 0…1 for corrupt and drops it whole, so boxes are cut to the image.
function labelLine(index: number, box: Box, image: { readonly width: number; readonly height: number }) {
  const inside = clipBox(box, image)
  if (inside === undefined) return undefined
  const { x, y, width, height } = inside
  const center = [(x + width / 2) / image.width, (y + height / 2) / image.height]
  const size = [width / image.width, height / image.height]
  return [index, ...[...center, ...size].map((value) => value.toFixed(6))].join(' ')
}

/** Absolute paths: the scripts resolve relative ones against their own folder, not against the workspace. */
function datasetYaml(folder: string, sets: readonly ImageSet[], names: readonly string[]): string {
  const [train, test] = [join(folder, 'train'), join(folder, 'test')]
  const val = sets.includes('val') ? join(folder, 'val') : test
  return stringifyForPython({ train, test, val, nc: names.length, names })
}
