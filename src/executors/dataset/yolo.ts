import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { linkOrCopy, writeFileAtomic } from '../../base/files.js'
import type { Category, ImageData } from '../../loop/protocol/index.js'
import { DatasetError } from '../errors.js'
import type { DatasetWriting } from './writing.js'

type Box = { readonly x: number; readonly y: number; readonly width: number; readonly height: number }

const DEFAULT_POINT_SIZE = 20

/**
 * `train/` and `test/` with `<id>.jpg` and `<id>.txt` (`class xc yc w h`, relative, 6 decimals), and `dataset.yaml`.
 * The class is the category's place in the list; points become squares of the category's `point_size`.
 */
export async function writeYoloDataset(writing: DatasetWriting): Promise<void> {
  await mkdir(join(writing.target, 'train'))
  await mkdir(join(writing.target, 'test'))
  const classes = new Map(writing.categories.map((category, index) => [category.id, { index, category }]))
  for (const image of writing.images) {
    writing.signal.throwIfAborted()
    const stem = join(writing.target, image.set === 'test' ? 'test' : 'train', image.id)
    await linkOrCopy(writing.imagePath(image.id), `${stem}.jpg`)
    await writeFile(`${stem}.txt`, labelLines(image, classes))
  }
  await writeFileAtomic(join(writing.target, 'dataset.yaml'), datasetYaml(writing.finalFolder, writing.categories))
}

function labelLines(image: ImageData, classes: ReadonlyMap<string, { index: number; category: Category }>): string {
  if (!(image.width > 0 && image.height > 0)) {
    throw new DatasetError(`The image ${image.id} has the size ${image.width} x ${image.height}.`, { id: image.id })
  }
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

function squareAround(point: { readonly x: number; readonly y: number }, category: Category): Box {
  const size = category.point_size ?? DEFAULT_POINT_SIZE
  return { x: point.x - size / 2, y: point.y - size / 2, width: size, height: size }
}

// YOLO takes an image with one value outside 0…1 for corrupt and drops it whole, so boxes are cut to the image.
function labelLine(index: number, box: Box, image: { readonly width: number; readonly height: number }) {
  const left = clip(box.x, image.width)
  const right = clip(box.x + box.width, image.width)
  const top = clip(box.y, image.height)
  const bottom = clip(box.y + box.height, image.height)
  if (!(right > left && bottom > top)) return undefined
  const center = [(left + right) / 2 / image.width, (top + bottom) / 2 / image.height]
  const size = [(right - left) / image.width, (bottom - top) / image.height]
  return [index, ...[...center, ...size].map((value) => value.toFixed(6))].join(' ')
}

function clip(value: number, end: number): number {
  return Math.min(end, Math.max(0, value))
}

/** Absolute paths: the scripts resolve relative ones against their own folder, not against the workspace. */
function datasetYaml(folder: string, categories: readonly Category[]): string {
  const test = join(folder, 'test')
  const names = categories.map((category) => category.name)
  return stringify({ train: join(folder, 'train'), test, val: test, nc: names.length, names })
}
