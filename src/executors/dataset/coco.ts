import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { linkOrCopy, writeFileAtomic } from '../../base/index.js'
import type { Category, ImageData } from '../../loop/protocol/index.js'
import { type Box, checkSize, clipBox, clipTo, squareAround } from './boxes.js'
import { type DatasetWriter, type DatasetWriting, setsOf } from './writing.js'

type Classes = ReadonlyMap<string, { readonly number: number; readonly category: Category }>
type Annotation = { readonly category_id: number; readonly bbox: number[]; readonly area: number }

/**
 * `train/`, `test/` and, if there are validation images, `val/` with `<id>.jpg`, and `annotations/instances_<set>.json`
 * as COCO has them. A category's number is its place in the list plus one; points are key points inside squares of
 * `point_size`.
 */
export const coco: DatasetWriter = { write }

async function write(writing: DatasetWriting): Promise<void> {
  const { target, categories } = writing
  const classes: Classes = new Map(categories.map((category, index) => [category.id, { number: index + 1, category }]))
  await mkdir(join(target, 'annotations'))
  for (const set of setsOf(writing.images)) {
    await mkdir(join(target, set))
    const images = writing.images.filter((image) => image.set === set)
    for (const { id } of images) {
      writing.signal.throwIfAborted()
      await linkOrCopy(writing.imagePath(id), join(target, set, `${id}.jpg`))
    }
    const content = { ...header(categories), ...toInstances(images, classes) }
    await writeFileAtomic(join(target, 'annotations', `instances_${set}.json`), JSON.stringify(content))
  }
}

function header(categories: readonly Category[]) {
  return {
    info: { description: 'exported by loopfleet' },
    licenses: [],
    categories: categories.map((category, index) => ({
      id: index + 1,
      name: category.name,
      supercategory: category.type,
      loop_id: category.id,
      ...(category.type === 'point' ? { keypoints: ['point'], skeleton: [] } : {}),
    })),
  }
}

function toInstances(images: readonly ImageData[], classes: Classes) {
  const annotations: (Annotation & { id: number; image_id: number; iscrowd: 0 })[] = []
  for (const [index, image] of images.entries()) {
    checkSize(image)
    for (const annotation of annotationsOf(image, classes)) {
      annotations.push({ id: annotations.length + 1, image_id: index + 1, iscrowd: 0, ...annotation })
    }
  }
  const listed = images.map(({ id, width, height }, index) => ({
    id: index + 1,
    file_name: `${id}.jpg`,
    width,
    height,
    loop_id: id,
  }))
  return { images: listed, annotations }
}

function annotationsOf(image: ImageData, classes: Classes): Annotation[] {
  const boxes = (image.box_annotations ?? []).map((box) => toAnnotation(classes, box, clipBox(box, image)))
  const points = (image.point_annotations ?? []).map((point) => {
    const category = classes.get(point.category_id)?.category
    const square = category === undefined ? undefined : clipBox(squareAround(point, category), image)
    return toAnnotation(classes, point, square, { keypoints: [point.x, point.y, 2], num_keypoints: 1 })
  })
  const segments = (image.segmentation_annotations ?? []).map((segment) => {
    const polygon = segment.shape.points.map(({ x, y }) => [clipTo(x, image.width), clipTo(y, image.height)] as const)
    const more = { segmentation: [polygon.flat()], area: areaOf(polygon) }
    return polygon.length < 3 ? undefined : toAnnotation(classes, segment, boxAround(polygon), more)
  })
  return [...boxes, ...points, ...segments].filter((annotation) => annotation !== undefined)
}

/** Undefined for unknown categories and for what lies outside of the image. */
function toAnnotation(
  classes: Classes,
  { category_id }: { readonly category_id: string },
  box: Box | undefined,
  more: Readonly<Record<string, unknown>> = {},
): Annotation | undefined {
  const found = classes.get(category_id)
  if (found === undefined || box === undefined) return undefined
  const { x, y, width, height } = box
  return { category_id: found.number, bbox: [x, y, width, height], area: width * height, ...more }
}

function boxAround(polygon: readonly (readonly [number, number])[]): Box | undefined {
  let [left, top, right, bottom] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0, 0]
  for (const [x, y] of polygon) {
    left = Math.min(left, x)
    right = Math.max(right, x)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y)
  }
  return right > left && bottom > top ? { x: left, y: top, width: right - left, height: bottom - top } : undefined
}

/** By the shoelace formula. */
function areaOf(polygon: readonly (readonly [number, number])[]): number {
  const doubled = polygon.reduce((sum, [x, y], index) => {
    const [nextX, nextY] = polygon[(index + 1) % polygon.length] ?? [x, y]
    return sum + x * nextY - nextX * y
  }, 0)
  return Math.abs(doubled) / 2
}
