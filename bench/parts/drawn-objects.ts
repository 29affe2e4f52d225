import sharp from 'sharp'
import { categoriesOf } from '../../src/mock/loop/generator/categories.js'
import { IMAGE_HEIGHT, IMAGE_WIDTH, planScene } from '../../src/mock/loop/generator/plan.js'
import { renderScene } from '../../src/mock/loop/generator/render.js'
import { boundsOf, coverage, type Point } from '../../src/mock/loop/generator/shapes.js'

/** An image of the generator in some size, with the outlines of the shapes in it that no other one touches. */
export type DrawnImage = {
  readonly jpeg: Buffer
  readonly width: number
  readonly height: number
  readonly outlines: readonly (readonly Point[])[]
}

const CONFIG = { project_name: 'bench', box_categories: 8, segmentation_categories: 1 }
// As far as somebody drags a box off the object.
const OFF = 8

/** The image of this number, with its width and height `factor` times those of the generator. */
export async function drawImage(seed: number, number: number, factor: number): Promise<DrawnImage> {
  const key = `${seed}/annotator/${number}`
  const scene = planScene(CONFIG, categoriesOf(CONFIG, seed), key)
  const [width, height] = [Math.round(IMAGE_WIDTH * factor), Math.round(IMAGE_HEIGHT * factor)]
  const drawn = await renderScene(scene, key)
  const jpeg = factor === 1 ? drawn : await sharp(drawn).resize(width, height).jpeg({ quality: 90 }).toBuffer()
  const all = scene.drawings.flatMap((drawing) => (drawing.kind === 'outline' ? [drawing.points] : []))
  const free = all.filter((outline) =>
    all.every((other) => other === outline || coverage(boxAround(outline), boundsOf(other)) === 0),
  )
  const outlines = free.map((outline) => outline.map(({ x, y }) => ({ x: x * factor, y: y * factor })))
  return { jpeg, width, height, outlines }
}

/** The box that somebody drags around an outline, some pixels off it. */
export function boxAround(outline: readonly Point[]) {
  const { x, y, width, height } = boundsOf(outline)
  return { x: Math.max(0, x - OFF), y: Math.max(0, y - OFF), width: width + 2 * OFF, height: height + 2 * OFF }
}
