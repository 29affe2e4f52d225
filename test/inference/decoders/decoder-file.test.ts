import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { readDecoderFile } from '../../../src/inference/decoders/decoder-file.js'
import { rejection } from '../rejection.js'

describe('decoder.json', () => {
  let folder: string
  const good = { layout: 'grid', input: { width: 320, height: 240 }, stride: 8, threshold: 0.3, nms_iou: 0.5 }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-decoder-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true })
  })

  async function read(content: unknown) {
    const path = join(folder, 'decoder.json')
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    return await readDecoderFile(path)
  }

  it('describes the grid of the shapes trainer', async () => {
    expect(await read({ ...good, point_categories: ['dot'] })).to.deep.equal({ ...good, point_categories: ['dot'] })
  })

  it('has the limit of overlap of the public scripts by default, and no threshold of its own', async () => {
    expect(await read({ layout: 'yolov5' })).to.deep.equal({ layout: 'yolov5', nms_iou: 0.45 })
  })

  it('is refused with a wrong or missing key, a wrong value or no JSON, naming file and key', async () => {
    const cases = [
      [{ ...good, treshold: 0.3 }, 'treshold'],
      [{ ...good, stride: undefined }, 'stride: '],
      [{ ...good, stride: 7 }, 'multiples of stride'],
      [{ ...good, threshold: 30 }, 'threshold: '],
      [{ ...good, input: { width: 1e9, height: 240 } }, 'input.width: '],
      [{ ...good, layout: 'gird' }, 'layout: '],
      [[], 'expected object'],
      ['{"layout": ', 'is not JSON'],
      ['', 'is not JSON'],
    ] as const
    for (const [content, sentence] of cases) {
      const error = await rejection(read(content))
      expect(error.code).to.equal('LF_DECODER_INVALID')
      expect(error.message).to.contain('decoder.json').and.to.contain(sentence)
    }
  })
})
