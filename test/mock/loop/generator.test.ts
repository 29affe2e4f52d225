import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
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

async function all(seed: number, config = CONFIG): Promise<GeneratedImage[]> {
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
