import { expect } from 'chai'
import fc from 'fast-check'
import { intersectionOverUnion } from '../../src/images/boxes.js'

const coordinate = fc.integer({ min: -2000, max: 2000 })
const size = fc.integer({ min: 0, max: 2000 })
const box = fc.record({ x: coordinate, y: coordinate, width: size, height: size })

describe('the intersection over union of two boxes', () => {
  it('lies between 0 and 1 and does not depend on the order', () => {
    fc.assert(
      fc.property(box, box, (a, b) => {
        const value = intersectionOverUnion(a, b)
        expect(value).to.be.within(0, 1)
        expect(intersectionOverUnion(b, a)).to.equal(value)
      }),
    )
  })

  it('is 1 for a box with itself, and 0 for empty boxes', () => {
    fc.assert(
      fc.property(box, (a) => {
        expect(intersectionOverUnion(a, a)).to.equal(a.width * a.height === 0 ? 0 : 1)
      }),
    )
  })

  it('is 0 for boxes beside each other, also when their edges touch', () => {
    fc.assert(
      fc.property(box, size, (a, gap) => {
        expect(intersectionOverUnion(a, { ...a, x: a.x + a.width + gap })).to.equal(0)
        expect(intersectionOverUnion(a, { ...a, y: a.y - a.height - gap })).to.equal(0)
      }),
    )
  })

  it('stays the same when both boxes are moved', () => {
    fc.assert(
      fc.property(box, box, coordinate, coordinate, (a, b, dx, dy) => {
        const moved = (one: typeof a) => ({ ...one, x: one.x + dx, y: one.y + dy })
        expect(intersectionOverUnion(moved(a), moved(b))).to.equal(intersectionOverUnion(a, b))
      }),
    )
  })

  it('is the share of the pixels of both that belong to both', () => {
    const small = fc.record({
      x: fc.integer({ min: 0, max: 6 }),
      y: fc.integer({ min: 0, max: 6 }),
      width: fc.integer({ min: 0, max: 6 }),
      height: fc.integer({ min: 0, max: 6 }),
    })
    fc.assert(
      fc.property(small, small, (a, b) => {
        expect(intersectionOverUnion(a, b)).to.be.closeTo(countedPixels(a, b), 1e-12)
      }),
    )
  })
})

type Box = { x: number; y: number; width: number; height: number }

function countedPixels(a: Box, b: Box): number {
  const has = (box: Box, x: number, y: number) =>
    x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height
  const cells = Array.from({ length: 13 * 13 }, (_, index) => [index % 13, Math.floor(index / 13)] as const)
  const either = cells.filter(([x, y]) => has(a, x, y) || has(b, x, y)).length
  const both = cells.filter(([x, y]) => has(a, x, y) && has(b, x, y)).length
  return either === 0 ? 0 : both / either
}
