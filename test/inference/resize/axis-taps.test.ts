import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import fc from 'fast-check'
import { axisTaps } from '../../../src/inference/resize/axis-taps.js'
import { projectRoot } from '../../helpers/project-root.js'

describe('The filter along one axis', () => {
  it('adds up to its total for every output and stays within the picture', () => {
    const edge = fc.integer({ min: 1, max: 5000 })
    fc.assert(
      fc.property(edge, fc.integer({ min: 1, max: 1500 }), fc.boolean(), (length, count, inPairs) => {
        const total = inPairs ? 16_384 : 256
        const { taps, starts, weights } = axisTaps({ length, count, scale: count / length, offset: 0 }, total, inPairs)
        if (inPairs) expect(taps % 2).to.equal(0)
        for (let output = 0; output < count; output++) {
          const own = weights.subarray(output * taps, (output + 1) * taps)
          const start = starts[output] ?? -1
          const last = own.findLastIndex((weight) => weight !== 0)
          expect(own.reduce((sum, weight) => sum + weight, 0)).to.equal(total)
          expect(own.every((weight) => weight >= 0)).to.equal(true)
          expect(start).to.be.at.least(0)
          expect(start + last).to.be.lessThan(length)
          expect(start + taps).to.be.at.most(length + (inPairs ? 1 : 0))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('takes the one pixel itself where nothing is shrunk', () => {
    const { taps, starts, weights } = axisTaps({ length: 4, count: 4, scale: 1, offset: 0 }, 256, false)

    expect(taps).to.equal(1)
    expect([...starts]).to.deep.equal([0, 1, 2, 3])
    expect([...weights]).to.deep.equal([256, 256, 256, 256])
  })
})

describe('The kernel of the filter', () => {
  it('is what its text says', async () => {
    const { assembleKernel } = await import(join(projectRoot(), 'scripts/kernel.mjs'))
    const kept = await readFile(join(projectRoot(), 'src/inference/resize/kernel.wasm'))

    expect(Buffer.from(await assembleKernel()).equals(kept)).to.equal(true)
  })
})
