import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { boxAround, drawImage } from '../../../bench/parts/drawn-objects.js'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createProposer, type Proposer } from '../../../src/nodes/annotator/tools/segmentation/proposer.js'
import { iouOf } from '../../helpers/polygons.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'

describe('the outline of what stands out in a box', function () {
  this.timeout(120_000)
  const folder = useTemporaryFolder()
  let proposer: Proposer
  before(async () => {
    proposer = createProposer({ threads: 1 }, { log: silentLogger() })
    await proposer.start()
  })
  after(() => proposer.close())
  const signal = new AbortController().signal
  const nothingElse = { strokes: [], outline: undefined, epsilon: null }

  for (const [factor, images] of [
    [1, 8],
    [2.5, 3],
  ] as const) {
    it(`is what was drawn, in images of ${640 * factor}x${480 * factor} pixels`, async () => {
      const found: number[] = []
      for (let number = 0; number < images; number++) {
        const { jpeg, width, height, outlines } = await drawImage(1, number, factor)
        const imagePath = join(folder.path, `${number}.jpg`)
        await writeFile(imagePath, jpeg)
        for (const drawn of outlines) {
          const outline = await proposer.propose({ imagePath, box: boxAround(drawn), ...nothingElse }, { signal })
          found.push(iouOf(outline ?? [], drawn, width, height))
        }
      }

      found.sort((a, b) => a - b)
      expect(found.length).to.be.at.least(8)
      expect(found.reduce((sum, iou) => sum + iou, 0) / found.length).to.be.at.least(0.93)
      expect(found[Math.floor(found.length / 10)]).to.be.at.least(0.9)
    })
  }

  it('has as few points as the wanted tolerance allows', async () => {
    const { jpeg, outlines } = await drawImage(1, 0, 1)
    const imagePath = join(folder.path, 'image.jpg')
    await writeFile(imagePath, jpeg)
    const box = boxAround(outlines[0] ?? [])

    const fine = await proposer.propose({ imagePath, box, ...nothingElse, epsilon: 0 }, { signal })
    const coarse = await proposer.propose({ imagePath, box, ...nothingElse, epsilon: 10 }, { signal })

    expect(coarse?.length).to.be.lessThan((fine?.length ?? 0) / 5)
  })

  it('is given up when it takes too long', async () => {
    const { jpeg, outlines } = await drawImage(1, 0, 2.5)
    const imagePath = join(folder.path, 'image.jpg')
    await writeFile(imagePath, jpeg)
    const hasty = createProposer({ threads: 1, timeoutMs: 1 }, { log: silentLogger() })
    await hasty.start()

    const request = { imagePath, box: boxAround(outlines[0] ?? []), ...nothingElse }
    expect(await rejection(hasty.propose(request, { signal }))).to.include({ code: 'LF_TOOL_TIMEOUT' })

    await hasty.close()
  })

  it('cannot be had of what is no image, which costs no thread', async () => {
    const imagePath = join(folder.path, 'image.jpg')
    await writeFile(imagePath, 'no image')
    const box = { x: 0, y: 0, width: 10, height: 10 }

    const error = await rejection(proposer.propose({ imagePath, box, ...nothingElse }, { signal }))

    expect(error).to.include({ code: 'LF_ANNOTATION_TOOL' })
    expect(error.message).to.match(/cannot be read/)
    expect(await rejection(proposer.propose({ imagePath, box, ...nothingElse }, { signal }))).to.include({
      code: 'LF_ANNOTATION_TOOL',
    })
  })
})
