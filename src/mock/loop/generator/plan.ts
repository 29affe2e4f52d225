import type { Box } from '../../../images/index.js'
import type { GeneratedCategory } from './categories.js'
import { backgroundColor, type Color, distinctColor } from './colors.js'
import type { ShapesConfig } from './config.js'
import { createRandom, type Random } from './random.js'
import { type BoxShape, blobOutline, boundsOf, boxShapes, coverage, move, outlineOf, type Point } from './shapes.js'

export const IMAGE_WIDTH = 640
export const IMAGE_HEIGHT = 480
const MIN_SIZE = 24
const MAX_SIZE = 120

/** What is really to be seen in an image, in pixels; annotations are made of it. */
export type Truth = {
  readonly boxes: readonly (Box & { readonly category_id: string; readonly category_name: string })[]
  readonly points: readonly (Point & { readonly category_id: string; readonly category_name: string })[]
  readonly segmentations: readonly { category_id: string; category_name: string; points: readonly Point[] }[]
}

export type Drawing =
  | { readonly kind: 'outline'; readonly points: readonly Point[]; readonly color: Color; readonly shade: Color }
  | { readonly kind: 'cross' | 'dot'; readonly at: Point; readonly color: Color }

export type Scene = {
  readonly plain: boolean
  readonly background: readonly [Color, Color]
  readonly noise: number
  readonly drawings: readonly Drawing[]
  readonly truth: Truth
}

/** What one image shows, decided by chance from its key alone. */
export function planScene(config: ShapesConfig, categories: readonly GeneratedCategory[], key: string): Scene {
  const random = createRandom(key)
  const background = [backgroundColor(random), backgroundColor(random)] as const
  const placed: Placed[] = []
  for (const category of categories.filter(({ type }) => type === 'segmentation')) {
    place(placed, category, () => blobOutline(random.range(60, 160), random), random)
  }
  const boxes = categories.filter(({ type }) => type === 'box')
  const count = boxes.length === 0 ? 0 : config.box_annotations || random.int(3, 6)
  const [first, ...others] = boxes
  for (let i = 0; first !== undefined && i < count; i++) {
    const category = random.pick([first, ...others])
    place(placed, category, () => outlineOf(shapeOf(category.name), random.range(MIN_SIZE, MAX_SIZE), random), random)
  }
  const points = placePoints(categories, placed, random)
  return {
    plain: config.image_style === 'plain',
    background,
    noise: random.range(6, 22),
    drawings: [
      ...placed.map(({ points: outline }) => drawOutline(outline, background, random)),
      ...points.map(({ category, at }) => ({
        kind: category.name.startsWith('dot') ? ('dot' as const) : ('cross' as const),
        at,
        color: distinctColor(random, background),
      })),
    ],
    truth: {
      boxes: placed
        .filter(({ category }) => category.type === 'box')
        .map(({ category, box }) => ({ ...named(category), ...box })),
      points: points.map(({ category, at }) => ({ ...named(category), ...at })),
      segmentations: placed
        .filter(({ category }) => category.type === 'segmentation')
        .map(({ category, points: outline }) => ({ ...named(category), points: outline.map(rounded) })),
    },
  }
}

type Placed = { readonly category: GeneratedCategory; readonly points: readonly Point[]; readonly box: Box }

/** Puts an outline where it covers others only in part; after many tries it is left out rather than hidden. */
function place(placed: Placed[], category: GeneratedCategory, outline: () => readonly Point[], random: Random): void {
  for (let i = 0; i < 60; i++) {
    const shape = outline()
    const { width, height } = boundsOf(shape)
    const by = { x: random.range(1, IMAGE_WIDTH - width - 2), y: random.range(1, IMAGE_HEIGHT - height - 2) }
    const points = move(shape, by)
    const box = boundsOf(points)
    if (placed.every((other) => coverage(box, other.box) < 0.3)) {
      placed.push({ category, points, box })
      return
    }
  }
}

function placePoints(categories: readonly GeneratedCategory[], placed: readonly Placed[], random: Random) {
  const points: { category: GeneratedCategory; at: Point }[] = []
  for (const category of categories.filter(({ type }) => type === 'point')) {
    for (let i = random.int(1, 2); i > 0; i--) {
      const at = freeSpot(
        placed.map(({ box }) => box),
        points.map((point) => point.at),
        random,
      )
      if (at !== undefined) points.push({ category, at })
    }
  }
  return points
}

function freeSpot(boxes: readonly Box[], points: readonly Point[], random: Random): Point | undefined {
  for (let i = 0; i < 60; i++) {
    const at = { x: random.int(12, IMAGE_WIDTH - 12), y: random.int(12, IMAGE_HEIGHT - 12) }
    const around = { x: at.x - 8, y: at.y - 8, width: 16, height: 16 }
    const free = boxes.every((box) => coverage(around, box) === 0)
    if (free && points.every((point) => Math.hypot(point.x - at.x, point.y - at.y) > 20)) return at
  }
  return undefined
}

function drawOutline(points: readonly Point[], background: readonly Color[], random: Random): Drawing {
  const color = distinctColor(random, background)
  const gain = random.range(0.8, 1.2)
  return { kind: 'outline', points, color, shade: clamp(color, gain) }
}

function clamp([red, green, blue]: Color, gain: number): Color {
  return [Math.min(255, red * gain), Math.min(255, green * gain), Math.min(255, blue * gain)]
}

function shapeOf(name: string): BoxShape {
  return boxShapes.find((shape) => name.startsWith(shape)) ?? 'circle'
}

function named(category: GeneratedCategory) {
  return { category_id: category.id, category_name: category.name }
}

function rounded({ x, y }: Point): Point {
  return { x: Math.round(x), y: Math.round(y) }
}
