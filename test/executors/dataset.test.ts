import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { parse } from 'yaml'
import { exportDataset } from '../../src/executors/dataset/export-dataset.js'
import { type Category, type ImageData, imageDataSchema } from '../../src/loop/protocol/index.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { category } from './support.js'

const signal = new AbortController().signal
const hostile: Category[] = [
  category('../../c1', 'a: [b]\n- "c"\u2028'),
  category('c2', '!!python/object:os.system', { point_size: 10, type: 'point' }),
]

function image(id: string, more: Record<string, unknown> = {}): ImageData {
  return imageDataSchema.parse({ id, set: 'train', width: 100, height: 50, ...more })
}

describe('dataset export', () => {
  const folder = useTemporaryFolder()

  async function run(format: 'raw' | 'yolo', images: readonly ImageData[], categories: readonly Category[] = hostile) {
    const cache = join(folder.path, 'cache')
    await mkdir(cache, { recursive: true })
    for (const { id } of images) await writeFile(join(cache, `${encodeURIComponent(id)}.jpg`), `pixels of ${id}`)
    const imagePath = (id: string) => join(cache, `${encodeURIComponent(id)}.jpg`)
    return exportDataset(format, { folder: folder.path, images, imagePath, categories, signal })
  }

  it('as raw has the data of the Loop and links to the images', async () => {
    const box = { id: 'b1', category_id: '../../c1', x: 1, y: 2, width: 3, height: 4 }
    const images = [image('i1', { box_annotations: [box] }), image('i2', { set: 'test' })]

    const counts = await run('raw', images)

    const dataset = JSON.parse(await readFile(join(folder.path, 'dataset/dataset.json'), 'utf8'))
    expect(counts).to.deep.equal({ trainCount: 1, valCount: 0, testCount: 1 })
    expect(dataset.categories).to.deep.equal(hostile)
    expect(dataset.images[0]).to.include({ id: 'i1', file: 'images/i1.jpg', set: 'train', width: 100, height: 50 })
    expect(dataset.images[0].box_annotations).to.have.lengthOf(1)
    expect(dataset.images[1]).to.deep.include({ set: 'test', point_annotations: [], classification_annotation: null })
    expect(await readFile(join(folder.path, 'dataset/images/i1.jpg'), 'utf8')).to.equal('pixels of i1')
    expect((await stat(join(folder.path, 'dataset/images/i1.jpg'))).nlink).to.equal(2)
  })

  it('as YOLO has relative boxes cut to the image, squares for points, and classes by the order of categories', async () => {
    const annotations = {
      box_annotations: [
        { category_id: '../../c1', x: 10, y: 5, width: 20, height: 10 },
        { category_id: '../../c1', x: 90, y: -5, width: 30, height: 10 },
        { category_id: '../../c1', x: 200, y: 5, width: 20, height: 10 },
        { category_id: 'unknown', x: 1, y: 1, width: 2, height: 2 },
      ],
      point_annotations: [{ category_id: 'c2', x: 50, y: 25 }],
    }

    await run('yolo', [image('i1', annotations), image('i2', { set: 'test' })])

    const dataset = join(folder.path, 'dataset')
    expect(await readFile(join(dataset, 'train/i1.txt'), 'utf8')).to.equal(
      [
        '0 0.200000 0.200000 0.200000 0.200000\n',
        '0 0.950000 0.050000 0.100000 0.100000\n',
        '1 0.500000 0.500000 0.100000 0.200000\n',
      ].join(''),
    )
    expect(await readFile(join(dataset, 'test/i2.txt'), 'utf8')).to.equal('')
    expect(await readdir(join(dataset, 'test'))).to.have.members(['i2.jpg', 'i2.txt'])
  })

  it('as YOLO names its folders absolutely and survives hostile category names', async () => {
    await run('yolo', [image('i1'), image('i2', { set: 'test' })])

    const yaml = parse(await readFile(join(folder.path, 'dataset/dataset.yaml'), 'utf8'))
    const test = join(folder.path, 'dataset/test')
    const names = hostile.map(({ name }) => name)
    expect(yaml).to.deep.equal({ train: join(folder.path, 'dataset/train'), test, val: test, nc: 2, names })
  })

  it('replaces an older dataset as a whole', async () => {
    await run('raw', [image('i1'), image('i2')])

    await run('raw', [image('i3')])

    expect(await readdir(join(folder.path, 'dataset/images'))).to.deep.equal(['i3.jpg'])
    expect(await readdir(folder.path)).to.have.members(['cache', 'dataset'])
  })

  it('keeps the older dataset when an image is missing', async () => {
    await run('raw', [image('i1')])
    const imagePath = (id: string) => join(folder.path, 'nowhere', id)
    const options = { folder: folder.path, images: [image('i2')], imagePath, categories: hostile, signal }

    await rejection(exportDataset('raw', options))

    expect(await readdir(join(folder.path, 'dataset/images'))).to.deep.equal(['i1.jpg'])
  })

  for (const id of ['../i1', '/etc/passwd', '.', '..', '-rf', 'a\0b', 'a/b', 'a b', 'ü', 'x'.repeat(129)]) {
    it(`refuses the image id ${JSON.stringify(id.slice(0, 20))}`, async () => {
      const error = await rejection(run('raw', [image(id)]))

      expect(error).to.include({ code: 'LF_BAD_DATASET', failure: 'fatal' })
      expect(await readdir(folder.path)).to.deep.equal(['cache'])
    })
  }

  it('refuses a project without images to train on, and for YOLO one without images to test on', async () => {
    expect((await rejection(run('raw', []))).message).to.contain('no image in the train set')
    expect((await rejection(run('raw', [image('i1', { set: 'test' })]))).message).to.contain(
      'no image in the train set',
    )
    expect((await rejection(run('yolo', [image('i1')]))).message).to.contain('no image in the test set')
    expect((await rejection(run('raw', [image('i1'), image('i1')]))).message).to.contain('listed twice')
  })

  it('ends with the reason of an abort', async () => {
    const aborted = AbortSignal.abort(new Error('enough'))
    const options = { folder: folder.path, images: [image('i1')], imagePath: () => '', categories: [], signal: aborted }

    expect((await rejection(exportDataset('raw', options))).message).to.equal('enough')
  })
})
