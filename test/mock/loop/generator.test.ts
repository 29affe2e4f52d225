import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import sharp from 'sharp'
import type { ShapesConfig } from '../../../src/mock/loop/generator/config.js'
import { type GeneratedImage, generateProject } from '../../../src/mock/loop/generator/project.js'
import { dumpRawDataset } from '../../../src/mock/loop/generator/raw-dataset.js'

const CONFIG = {
  project_name: 'shapes',
  complete: 5,
  inbox: 2,
  box_categories: 4,
  point_categories: 2,
  train_share: 0.6,
}

const SEGMENTED = { project_name: 'blobs', complete: 3, segmentation_categories: 1 }

async function all(seed: number, config: ShapesConfig = CONFIG): Promise<GeneratedImage[]> {
  const images: GeneratedImage[] = []
  for await (const image of generateProject(config, seed).images) images.push(image)
  return images
}

describe('the generator of shapes projects', () => {
  it('draws the same ids, pixels and truth for the same seed', async () => {
    const [first, again] = [await all(7), await all(7)]

    expect(again).to.deep.equal(first)
  })

  it('draws something else for another seed', async () => {
    const [first, other] = [await all(7), await all(8)]

    expect(other.map(({ id }) => id)).to.not.have.members(first.map(({ id }) => id))
    expect(other[0]?.jpeg.equals(first[0]?.jpeg ?? Buffer.of())).to.equal(false)
  })

  it('gives each state its exact number of images and the train set its share', async () => {
    const images = await all(1)

    expect(images.filter(({ state }) => state === 'complete')).to.have.lengthOf(5)
    expect(images.filter(({ state }) => state === 'inbox')).to.have.lengthOf(2)
    expect(images.filter(({ state, set }) => state === 'complete' && set === 'train')).to.have.lengthOf(3)
  })

  it('keeps every true box inside the image and between 24 and 122 pixels long', async () => {
    const boxes = (await all(3)).flatMap(({ truth }) => truth.boxes)

    expect(boxes.length).to.be.greaterThan(15)
    for (const { x, y, width, height } of boxes) {
      expect(Math.min(x, y)).to.be.at.least(0)
      expect(x + width).to.be.at.most(640)
      expect(y + height).to.be.at.most(480)
      expect(Math.max(width, height)).to.be.within(24, 122)
    }
  })

  it('outlines what it draws: in the style "plain" all else of an image is one colour', async () => {
    const images = await all(3, { ...SEGMENTED, image_style: 'plain' })

    for (const { jpeg, truth } of images) {
      const [outline, ...others] = truth.segmentations
      expect(others).to.deep.equal([])
      const points = outline?.points ?? []
      for (const { x, y } of points) {
        expect(Number.isInteger(x) && Number.isInteger(y)).to.equal(true)
        expect(x).to.be.within(0, 640)
        expect(y).to.be.within(0, 480)
      }
      const drawn = await pixelsUnlikeCorner(jpeg)
      expect(drawn).to.be.closeTo(areaOf(points), 0.2 * areaOf(points), 'the rim of JPEG included')
    }
  })

  it('draws no flat background in its usual style', async () => {
    const [image] = await all(3, SEGMENTED)

    expect(await pixelsUnlikeCorner(image?.jpeg ?? Buffer.of())).to.be.greaterThan(640 * 480 * 0.3)
  })

  it('uses the image id that a test of the Python library names', async () => {
    const [image] = await all(1, { ...CONFIG, project_name: 'pytest_nodelib_annotator' })

    expect(image?.id).to.equal('10f7d7d2-4076-7006-af37-fa28a6a848ae')
  })

  it('writes the complete images as a raw dataset', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'loopfleet-raw-'))
    try {
      await dumpRawDataset(folder, CONFIG, 1)

      const dataset = JSON.parse(await readFile(join(folder, 'dataset/dataset.json'), 'utf8'))
      expect(dataset.categories.map(({ name }: { name: string }) => name)).to.include.members([
        'circle',
        'star',
        'cross',
      ])
      expect(await readdir(join(folder, 'dataset/images'))).to.have.lengthOf(5)
      expect(dataset.images[0].box_annotations[0]).to.have.keys([
        'id',
        'image_id',
        'category_id',
        'x',
        'y',
        'width',
        'height',
      ])
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

/** What JPEG may change of a flat colour. */
const TOLERANCE = 12

async function pixelsUnlikeCorner(jpeg: Buffer): Promise<number> {
  const pixels = await sharp(jpeg).raw().toBuffer()
  let count = 0
  for (let at = 0; at < pixels.length; at += 3) {
    const distances = [0, 1, 2].map((channel) => Math.abs((pixels[at + channel] ?? 0) - (pixels[channel] ?? 0)))
    if (Math.max(...distances) > TOLERANCE) count += 1
  }
  return count
}

/** Of a polygon, by the shoelace formula. */
function areaOf(points: readonly { readonly x: number; readonly y: number }[]): number {
  const doubled = points.map(({ x, y }, index) => {
    const next = points[(index + 1) % points.length] ?? { x, y }
    return x * next.y - next.x * y
  })
  return Math.abs(doubled.reduce((sum, part) => sum + part, 0)) / 2
}
