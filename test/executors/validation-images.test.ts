import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { parse } from 'yaml'
import { exportDataset } from '../../src/executors/dataset/export-dataset.js'
import type { DatasetFormat } from '../../src/executors/dataset/formats.js'
import { assignValidationSet } from '../../src/executors/dataset/validation-set.js'
import { type ImageData, type ImageSet, imageDataSchema } from '../../src/loop/protocol/index.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { category } from './support.js'

const classification_annotation = { category_id: 'c1' }
const categories = [category('c1', 'cat', { type: 'classification' })]

function image(id: string, set: ImageSet): ImageData {
  return imageDataSchema.parse({ id, set, width: 100, height: 50, classification_annotation })
}

function trainImages(count: number): ImageData[] {
  return Array.from({ length: count }, (_, index) => image(`image-${index}`, 'train'))
}

describe('validation images', () => {
  const folder = useTemporaryFolder()
  const dataset = () => join(folder.path, 'dataset')

  async function run(format: DatasetFormat, images: readonly ImageData[]) {
    const cache = join(folder.path, 'cache')
    await mkdir(cache, { recursive: true })
    for (const { id } of images) await writeFile(join(cache, `${id}.jpg`), `pixels of ${id}`)
    const imagePath = (id: string) => join(cache, `${id}.jpg`)
    const { signal } = new AbortController()
    return exportDataset(format, { folder: folder.path, images, imagePath, categories, signal })
  }

  const threeSets = [image('i1', 'train'), image('i2', 'val'), image('i3', 'test')]

  it('are in a folder of their own for YOLO, which validates on it', async () => {
    const counts = await run('yolo', threeSets)

    const { train, val, test } = parse(await readFile(join(dataset(), 'dataset.yaml'), 'utf8'))
    expect(counts).to.deep.equal({ trainCount: 2, valCount: 1, testCount: 1 })
    expect([train, val, test]).to.deep.equal(['train', 'val', 'test'].map((set) => join(dataset(), set)))
    expect(await readdir(val)).to.have.members(['i2.jpg', 'i2.txt'])
    expect(await readdir(train)).to.have.members(['i1.jpg', 'i1.txt'])
  })

  it('have a list of annotations of their own in COCO', async () => {
    await run('coco', threeSets)

    const { images } = JSON.parse(await readFile(join(dataset(), 'annotations/instances_val.json'), 'utf8'))
    expect(images.map(({ loop_id }: { loop_id: string }) => loop_id)).to.deep.equal(['i2'])
    expect(await readdir(join(dataset(), 'val'))).to.deep.equal(['i2.jpg'])
    expect(await readdir(join(dataset(), 'train'))).to.deep.equal(['i1.jpg'])
  })

  it('are in a folder of their own for YOLO classification', async () => {
    await run('yolo_classification', threeSets)

    expect(await readdir(join(dataset(), 'val/cat'))).to.deep.equal(['i2.jpg'])
    expect(await readdir(join(dataset(), 'train/cat'))).to.deep.equal(['i1.jpg'])
  })

  it('keep their set in raw', async () => {
    await run('raw', threeSets)

    const { images } = JSON.parse(await readFile(join(dataset(), 'dataset.json'), 'utf8'))
    expect(images.map(({ set }: { set: string }) => set)).to.deep.equal(['train', 'val', 'test'])
  })

  for (const format of ['yolo', 'coco', 'yolo_classification'] as const) {
    it(`have no folder in ${format} when there are none, and the test images take their place`, async () => {
      await run(format, [image('i1', 'train'), image('i3', 'test')])

      expect(await readdir(dataset())).not.to.include('val')
    })
  }

  it('do for YOLO without test images, but not without train images', async () => {
    await run('yolo', [image('i1', 'train'), image('i2', 'val')])
    const error = await rejection(run('yolo', [image('i2', 'val'), image('i3', 'test')]))

    expect(error).to.include({ code: 'LF_BAD_DATASET' }).and.have.property('message').contain('train set')
  })
})

// The expected ids come from the Python library 0.27.0, run with the same images.
describe('compute_validation_set', () => {
  function validationIds(images: readonly ImageData[], value: unknown = true): string[] {
    const assigned = assignValidationSet(images, { hyperparameters: { compute_validation_set: value } })
    return assigned.filter(({ set }) => set === 'val').map(({ id }) => id)
  }

  it('takes the train images that the Python library takes', () => {
    const chosen = ['image-1', 'image-9', 'image-15', 'image-32', 'image-52']
    expect(validationIds(trainImages(60))).to.deep.equal(chosen)
    expect(validationIds(trainImages(20))).to.deep.equal(chosen.slice(0, 3))
    const uuids = Array.from({ length: 40 }, (_, index) => (index * 7919).toString(16).padStart(32, '0'))
    const ids = uuids.map((hex) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'))
    expect(validationIds(ids.map((id) => image(id, 'train')))).to.deep.equal([
      '00000000-0000-0000-0000-000000000000',
      '00000000-0000-0000-0000-000000036224',
      '00000000-0000-0000-0000-00000003dde0',
    ])
  })

  it('takes the one with the lowest hash when none is below a tenth', () => {
    const images = trainImages(9).filter(({ id }) => id !== 'image-1')

    expect(validationIds(images)).to.have.lengthOf(1)
    expect(validationIds(images.toReversed())).to.deep.equal(validationIds(images))
  })

  it('leaves test images alone, and everything when the Loop has set validation images aside', () => {
    const own = [...trainImages(20), image('own', 'val')]

    expect(validationIds([...trainImages(2), image('image-9', 'test')])).to.deep.equal(['image-1'])
    expect(validationIds(own)).to.deep.equal(['own'])
    expect(validationIds(own, 'yes')).to.deep.equal(['own'])
  })

  it('does nothing when it is false or missing', () => {
    expect(validationIds(trainImages(20), false)).to.deep.equal([])
    expect(assignValidationSet(trainImages(1), { hyperparameters: {} })).to.deep.equal(trainImages(1))
  })

  for (const value of ['true', 1, null, 'false', {}]) {
    it(`refuses ${JSON.stringify(value)}`, () => {
      expect(() => validationIds(trainImages(20), value))
        .to.throw('must be true or false')
        .with.include({
          code: 'LF_ORDER_NOT_POSSIBLE',
        })
    })
  }

  it('refuses a project with a single train image', () => {
    expect(() => validationIds([image('a', 'train'), image('b', 'test')]))
      .to.throw('1 train images')
      .with.include({
        code: 'LF_BAD_DATASET',
      })
  })
})
