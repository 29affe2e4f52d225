import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { detectExternally, type ExternalDetectOptions } from '../../../src/inference/external/external-detect.js'
import { emptyFindings } from '../../../src/inference/findings/findings.js'
import { plainJpeg } from '../images.js'
import { rejection } from '../rejection.js'

const categories = [
  { id: 'id-a', name: 'A', type: 'box' },
  { id: 'id-p', name: 'P', type: 'point' },
]

describe('An external detect command', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-external-'))
    await writeFile(join(folder, 'one.jpg'), await plainJpeg(200, 100, '#fff'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true })
  })

  /** Runs a command that writes the given files, for an image whose size is not known and one whose size is. */
  async function detect(files: Record<string, string>, options: Partial<ExternalDetectOptions> = {}) {
    const images = [
      { id: 'one', path: join(folder, 'one.jpg') },
      { id: 'two', path: join(folder, 'two.jpg'), width: 1000, height: 1000 },
    ]
    const run = async ({ output }: { output: string }) => {
      for (const [name, text] of Object.entries(files)) {
        await mkdir(join(output, name, '..'), { recursive: true })
        await writeFile(join(output, name), text)
      }
    }
    const signal = new AbortController().signal
    return await detectExternally(
      { images, folder: join(folder, 'work'), categories, signal, ...options },
      { run, log: silentLogger() },
    )
  }

  it('sees all images as links in one folder, and an output folder that is empty again in a second run', async () => {
    await detect({ 'labels/one.txt': '' })
    const seen: unknown[] = []
    const images = [{ id: 'one', path: join(folder, 'one.jpg') }]
    const run = async ({ images: links, output }: { images: string; output: string }) => {
      seen.push(await readdir(links), (await readFile(join(links, 'one.jpg'))).length, await readdir(output))
      await mkdir(join(output, 'labels'))
    }

    await detectExternally(
      { images, folder: join(folder, 'work'), categories, signal: new AbortController().signal },
      { run, log: silentLogger() },
    )

    expect(seen).to.deep.equal([['one.jpg'], (await readFile(join(folder, 'one.jpg'))).length, []])
  })

  it('may write YOLO labels, which become pixels; images without a file have no detections', async () => {
    const found = await detect({ 'labels/one.txt': '0 0.5 0.5 0.2 0.2 0.75\n1 0.25 0.5 0.1 0.1 0.5\n' })

    expect(found.get('one')).to.deep.equal({
      ...emptyFindings(),
      box_detections: [
        { category_name: 'A', category_id: 'id-a', confidence: 0.75, x: 80, y: 40, width: 40, height: 20 },
      ],
      point_detections: [{ category_name: 'P', category_id: 'id-p', confidence: 0.5, x: 50, y: 50 }],
    })
    expect(found.get('two')).to.deep.equal(emptyFindings())
  })

  it('may write the labels into a folder of the run, beyond the border, and with NaN in them', async () => {
    const text = '0 0 0 0.2 0.2 1.0\n0 nan 0.5 0.1 0.1 0.9\n0 0.5 0.5 0.1 0.1 -inf\n'

    const found = await detect({ 'exp/labels/two.txt': text }, { confidence: 'percent' })

    expect(found.get('two')?.box_detections).to.deep.equal([
      { category_name: 'A', category_id: 'id-a', confidence: 100, x: 0, y: 0, width: 100, height: 100 },
    ])
  })

  it('may write detections.json, with categories by id or name', async () => {
    const box = { x: 10.4, y: 20.6, width: 500, height: 10, confidence: 0.5 }
    const entry = {
      image_id: 'one',
      box_detections: [{ ...box, category_id: 'id-a' }],
      point_detections: [{ category_name: 'P', x: 1.25, y: 2.5, confidence: 1 }],
    }

    const found = await detect({ 'detections.json': JSON.stringify([entry]) })

    expect(found.get('one')?.box_detections).to.deep.equal([
      { category_name: 'A', category_id: 'id-a', confidence: 0.5, x: 10, y: 21, width: 190, height: 10 },
    ])
    expect(found.get('one')?.point_detections[0]).to.include({ category_id: 'id-p', x: 1.25, y: 2.5 })
    expect(found.get('two')).to.deep.equal(emptyFindings())
  })

  it('may write class names for a classifier', async () => {
    const classes = [
      { id: 'id-c', name: 'large cat', type: 'classification' },
      { id: 'id-d', name: 'dog', type: 'classification' },
    ]

    const found = await detect({ 'labels/one.txt': '0.75 large cat\n0.25 dog\n' }, { categories: classes })

    expect(found.get('one')?.classification_detections).to.deep.equal([
      { category_name: 'large cat', category_id: 'id-c', confidence: 0.75 },
      { category_name: 'dog', category_id: 'id-d', confidence: 0.25 },
    ])
  })

  it('has failed when it writes nothing or nonsense, with file and line', async () => {
    const json = (value: unknown) => ({ 'detections.json': JSON.stringify(value) })
    const box = { category_id: 'id-a', x: 1, y: 1, width: 1, height: 1, confidence: 0.5 }
    const cases: [Record<string, string>, string][] = [
      [{}, 'neither detections.json nor labels/'],
      [{ 'a/labels/one.txt': '', 'b/labels/one.txt': '' }, 'more than one labels/'],
      [{ 'labels/three.txt': '' }, 'belongs to none of the images'],
      [{ 'labels/one.txt': '0 0.5 0.5 0.1 0.1 0.9\n0 0.5 0.5 0.1 0.1' }, 'one.txt:2: "0 0.5 0.5 0.1 0.1" is not'],
      [{ 'labels/one.txt': '2 0.5 0.5 0.1 0.1 0.9' }, 'class 2 is not one of the 2 categories'],
      [{ 'labels/one.txt': '0.5 0.5 0.5 0.1 0.1 0.9' }, 'class 0.5 is not'],
      [{ 'labels/one.txt': '0 0.5 0.5 0.1 0.1 87' }, 'confidence 87 is not within 0…1'],
      [{ 'labels/one.txt': '0 x 0.5 0.1 0.1 0.9' }, '"x" is not a number'],
      [{ 'detections.json': '[{"image_id": "one", "box_detections": [NaN]}]' }, 'NaN and Infinity are not allowed'],
      [json({ image_id: 'one' }), 'expected array'],
      [json([{ image_id: 'three' }]), '"three" is none of the images'],
      [json([{ image_id: 'one', box_detections: [{ ...box, category_id: 'id-x' }] }]), 'category "id-x"'],
      [json([{ image_id: 'one', box_detections: [{ ...box, confidence: 87 }] }]), 'confidence 87'],
      [json([{ image_id: 'one', box_detections: [{ ...box, width: '1' }] }]), '0.box_detections.0.width'],
    ]
    for (const [files, sentence] of cases) {
      const error = await rejection(detect(files))
      expect(error.code).to.equal('LF_DETECT_OUTPUT')
      expect(error.failure).to.equal('program')
      expect(error.message).to.contain(sentence)
    }
  })

  it('is not run for no images, nor for an id that would leave the folder', async () => {
    const never = async () => {
      throw new Error('It ran.')
    }
    const signal = new AbortController().signal
    const options = { folder: join(folder, 'work'), categories, signal }
    const deps = { run: never, log: silentLogger() }

    expect(await detectExternally({ ...options, images: [] }, deps)).to.deep.equal(new Map())
    const error = await rejection(detectExternally({ ...options, images: [{ id: '../x', path: 'x.jpg' }] }, deps))
    expect(error.message).to.contain('../x')
  })

  it('is not read when it was aborted while it ran', async () => {
    const controller = new AbortController()
    const reason = new Error('no longer wanted')
    const run = async () => controller.abort(reason)
    const images = [{ id: 'one', path: join(folder, 'one.jpg') }]

    const thrown = await detectExternally(
      { images, folder: join(folder, 'work'), categories, signal: controller.signal },
      { run, log: silentLogger() },
    ).catch((error: unknown) => error)

    expect(thrown).to.equal(reason)
  })
})
