import { expect } from 'chai'
import fc from 'fast-check'
import { simplifyLoop } from '../../src/inference/decoders/loop-simplification.js'
import { traceLoops } from '../../src/inference/decoders/marching-squares.js'
import { maskOutline } from '../../src/inference/decoders/mask-outline.js'

const input = { width: 64, height: 64 }
const everything = { left: 0, top: 0, right: 64, bottom: 64 }

/** A shape of 16x16 cells. */
function shape(value: (x: number, y: number) => number) {
  return {
    dims: [1, 1, 16, 16],
    data: Float32Array.from({ length: 256 }, (_, at) => value(at % 16, Math.floor(at / 16))),
  }
}

function areaOf(points: readonly { x: number; y: number }[]): number {
  const twice = points.map(({ x, y }, index) => {
    const next = points[(index + 1) % points.length] ?? { x, y }
    return x * next.y - next.x * y
  })
  return Math.abs(twice.reduce((sum, value) => sum + value, 0)) / 2
}

describe('The outline of a mask', () => {
  it('follows a disc between the cells, with few corners', () => {
    const disc = shape((x, y) => 4 - Math.hypot(x - 7.5, y - 7.5))

    const outline = maskOutline(disc, { coefficients: [1], box: everything, input }) ?? []

    expect(areaOf(outline)).to.be.closeTo(Math.PI * 16 * 16, 30)
    expect(outline.length).to.be.within(8, 32)
  })

  it('is cut at the box, and covers it when the whole box is filled', () => {
    const box = { left: 8, top: 8, right: 24, bottom: 40 }

    const outline =
      maskOutline(
        shape(() => 1),
        { coefficients: [1], box, input },
      ) ?? []

    expect(areaOf(outline)).to.be.within(0.9 * 16 * 32, 16 * 32)
    for (const { x, y } of outline) {
      expect(x).to.be.within(8, 24)
      expect(y).to.be.within(8, 40)
    }
  })

  it('is that of the largest part, without holes', () => {
    const ringAndDot = shape((x, y) => {
      const distance = Math.hypot(x - 9.5, y - 9.5)
      return x < 2 && y < 2 ? 1 : 2 - Math.abs(distance - 3)
    })

    const outline = maskOutline(ringAndDot, { coefficients: [1], box: everything, input }) ?? []

    expect(areaOf(outline)).to.be.closeTo(Math.PI * 20 * 20, 60)
  })

  it('is missing where nothing is positive or finite, or outside of the picture', () => {
    const outside = { left: 70, top: 70, right: 80, bottom: 80 }
    for (const value of [-1, 0, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(
        maskOutline(
          shape(() => value),
          { coefficients: [1], box: everything, input },
        ),
      ).to.equal(undefined)
    }
    expect(
      maskOutline(
        shape(() => 1),
        { coefficients: [1], box: outside, input },
      ),
    ).to.equal(undefined)
  })

  it('is closed and finite whatever the field is', () => {
    const fields = fc.array(fc.double({ noDefaultInfinity: false }), { minLength: 36, maxLength: 36 })
    fc.assert(
      fc.property(fields, (inner) => {
        const values = new Float32Array(64).fill(-1)
        for (const [at, value] of inner.entries()) values[(Math.floor(at / 6) + 1) * 8 + (at % 6) + 1] = value
        const positive = inner.filter((value) => Math.fround(value) > 0 && Number.isFinite(Math.fround(value))).length

        const loops = traceLoops({ values, width: 8, height: 8 })

        expect(loops.length > 0).to.equal(positive > 0)
        for (const loop of loops) {
          expect(loop.length).to.be.at.least(3)
          for (const { x, y } of loop) expect(x >= 0 && x <= 7 && y >= 0 && y <= 7).to.equal(true)
        }
      }),
      { seed: 4, numRuns: 300 },
    )
  })

  it('keeps every corner that matters when it is simplified', () => {
    const square = [0, 1, 2, 3].flatMap((side) =>
      Array.from({ length: 10 }, (_, step) => {
        const corners = [
          { x: step, y: 0 },
          { x: 10, y: step },
          { x: 10 - step, y: 10 },
          { x: 0, y: 10 - step },
        ]
        return corners[side] ?? { x: 0, y: 0 }
      }),
    )

    expect(simplifyLoop(square, 0.5)).to.deep.equal([
      { x: 0, y: 0 },
      { x: 10, y: 0 },
      { x: 10, y: 10 },
      { x: 0, y: 10 },
    ])
  })
})
