import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { exportDataset } from '../../src/executors/dataset/export-dataset.js'
import type { DatasetFormat } from '../../src/executors/dataset/formats.js'
import { type Category, type ImageData, imageDataSchema } from '../../src/loop/protocol/index.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { category } from './support.js'

function image(id: string, more: Record<string, unknown> = {}): ImageData {
  return imageDataSchema.parse({ id, set: 'train', width: 100, height: 50, ...more })
}

const folder = useTemporaryFolder()

async function run(format: DatasetFormat, images: readonly ImageData[], categories: readonly Category[]) {
  const cache = join(folder.path, 'cache')
  await mkdir(cache, { recursive: true })
  for (const { id } of images) await writeFile(join(cache, `${id}.jpg`), `pixels of ${id}`)
  const imagePath = (id: string) => join(cache, `${id}.jpg`)
  const { signal } = new AbortController()
  return exportDataset(format, { folder: folder.path, images, imagePath, categories, signal })
}

async function instances(set: 'train' | 'test') {
  return JSON.parse(await readFile(join(folder.path, `dataset/annotations/instances_${set}.json`), 'utf8'))
}

describe('dataset export as COCO', () => {
  const categories = [
    category('c1', 'box "big"\n'),
    category('c2', 'dot', { type: 'point', point_size: 10 }),
    category('c3', 'shape', { type: 'segmentation' }),
  ]

  it('has images, categories counted from one, and boxes cut to the image', async () => {
    const box_annotations = [
      { category_id: 'c1', x: 10, y: 5, width: 20, height: 10 },
      { category_id: 'c1', x: 90, y: -5, width: 30, height: 10 },
      { category_id: 'c1', x: 200, y: 5, width: 20, height: 10 },
      { category_id: 'unknown', x: 1, y: 1, width: 2, height: 2 },
    ]

    const counts = await run('coco', [image('i1', { box_annotations }), image('i2', { set: 'test' })], categories)

    const train = await instances('train')
    expect(counts).to.deep.equal({ trainCount: 1, valCount: 0, testCount: 1 })
    expect(train.images).to.deep.equal([{ id: 1, file_name: 'i1.jpg', width: 100, height: 50, loop_id: 'i1' }])
    expect(train.categories.map(({ id, name }: { id: number; name: string }) => [id, name])).to.deep.equal([
      [1, 'box "big"\n'],
      [2, 'dot'],
      [3, 'shape'],
    ])
    expect(train.annotations).to.deep.equal([
      { id: 1, image_id: 1, iscrowd: 0, category_id: 1, bbox: [10, 5, 20, 10], area: 200 },
      { id: 2, image_id: 1, iscrowd: 0, category_id: 1, bbox: [90, 0, 10, 5], area: 50 },
    ])
    expect((await instances('test')).annotations).to.deep.equal([])
    expect(await readFile(join(folder.path, 'dataset/test/i2.jpg'), 'utf8')).to.equal('pixels of i2')
  })

  it('has points as key points in squares and segmentations as polygons', async () => {
    const triangle = { points: [{ x: 10, y: 10 }, { x: 50, y: 10 }, { x: 10, y: 60 }] } // biome-ignore format: one line
    const line = { points: [{ x: 1, y: 1 }, { x: 2, y: 2 }] } // biome-ignore format: one line
    const annotations = {
      point_annotations: [{ category_id: 'c2', x: 50, y: 25 }],
      segmentation_annotations: [
        { id: 's1', image_id: 'i1', category_id: 'c3', shape: triangle },
        { id: 's2', image_id: 'i1', category_id: 'c3', shape: line },
      ],
    }

    await run('coco', [image('i1', annotations)], categories)

    const [point, segment, ...others] = (await instances('train')).annotations
    expect(point).to.deep.include({ category_id: 2, bbox: [45, 20, 10, 10], keypoints: [50, 25, 2], num_keypoints: 1 })
    expect(segment).to.deep.include({ category_id: 3, bbox: [10, 10, 40, 40], area: 800 })
    expect(segment.segmentation).to.deep.equal([[10, 10, 50, 10, 10, 50]])
    expect(others).to.deep.equal([])
  })

  it('refuses an image without a size', async () => {
    const error = await rejection(run('coco', [image('i1', { width: 0 })], categories))

    expect(error).to.include({ code: 'LF_BAD_DATASET' })
    expect(await readdir(folder.path)).not.to.include('dataset')
  })
})

describe('dataset export for YOLO classification', () => {
  const classification_annotation = (category_id: string) => ({ classification_annotation: { category_id } })
  const cat = category('c1', 'a cat', { type: 'classification' })
  const dog = category('c2', 'dog', { type: 'classification' })

  it('has a folder per category, and leaves out what is not classified', async () => {
    const images = [
      image('i1', classification_annotation('c1')),
      image('i2', classification_annotation('c2')),
      image('i3'),
      image('i4', classification_annotation('unknown')),
      image('i5', { set: 'test', ...classification_annotation('c1') }),
    ]

    const counts = await run('yolo_classification', images, [cat, dog])

    const dataset = join(folder.path, 'dataset')
    expect(counts).to.deep.equal({ trainCount: 2, valCount: 0, testCount: 1 })
    expect((await readdir(dataset, { recursive: true })).sort()).to.deep.equal([
      'test',
      'test/a cat',
      'test/a cat/i5.jpg',
      'train',
      'train/a cat',
      'train/a cat/i1.jpg',
      'train/dog',
      'train/dog/i2.jpg',
    ])
  })

  it('needs classified images in both sets', async () => {
    expect((await rejection(run('yolo_classification', [image('i1')], [cat]))).message).to.contain('train set')
    const images = [image('i1', classification_annotation('c1'))]
    expect((await rejection(run('yolo_classification', images, [cat]))).message).to.contain('test set')
  })

  for (const name of ['..', '.', '', 'a/b', '../../x', '-rf', '.hidden', 'a\nb', 'a\0b', ' a', 'a ', 'x'.repeat(300)]) {
    it(`refuses the category name ${JSON.stringify(name.slice(0, 20))}`, async () => {
      const images = [
        image('i1', classification_annotation('c1')),
        image('i2', { set: 'test', ...classification_annotation('c1') }),
      ]

      const error = await rejection(run('yolo_classification', images, [category('c1', name)]))

      expect(error).to.include({ code: 'LF_BAD_DATASET', failure: 'fatal' })
      expect(await readdir(folder.path)).not.to.include('dataset')
    })
  }

  it('refuses two categories of one name', async () => {
    const images = [
      image('i1', classification_annotation('c1')),
      image('i2', { set: 'test', ...classification_annotation('c1') }),
    ]

    const error = await rejection(run('yolo_classification', images, [cat, category('c3', 'a cat')]))

    expect(error.message).to.contain('Two categories are called "a cat"')
  })
})

describe('dataset export for YOLO', () => {
  it('refuses a folder below one called images, where the scripts find no labels', async () => {
    const inside = join(folder.path, 'images')
    await mkdir(inside)
    const imagePath = (id: string) => join(folder.path, id)
    const images = [image('i1'), image('i2', { set: 'test' })]
    const { signal } = new AbortController()

    const error = await rejection(exportDataset('yolo', { folder: inside, images, imagePath, categories: [], signal }))

    expect(error.message).to.contain('below a folder called "images"')
  })
})
