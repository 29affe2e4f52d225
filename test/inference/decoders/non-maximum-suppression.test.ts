import { expect } from 'chai'
import { type Box, iou, isSoundBox } from '../../../src/inference/decoders/boxes.js'
import { nonMaximumSuppression, type Scored } from '../../../src/inference/decoders/non-maximum-suppression.js'

function box(left: number, top: number, right: number, bottom: number): Box {
  return { left, top, right, bottom }
}

function scored(confidence: number, at: Box, categoryIndex = 0): Scored {
  return { confidence, box: at, categoryIndex }
}

describe('iou', () => {
  it('is one for the same box, zero for boxes that only touch, and a third for half an overlap', () => {
    expect(iou(box(0, 0, 10, 10), box(0, 0, 10, 10))).to.equal(1)
    expect(iou(box(0, 0, 10, 10), box(10, 0, 20, 10))).to.equal(0)
    expect(iou(box(0, 0, 10, 10), box(5, 0, 15, 10))).to.be.closeTo(1 / 3, 1e-12)
  })

  it('is zero and never NaN for boxes without area, turned around, or not finite', () => {
    expect(iou(box(1, 1, 1, 1), box(1, 1, 1, 1))).to.equal(0)
    expect(iou(box(10, 10, 0, 0), box(0, 0, 10, 10))).to.equal(0)
    expect(iou(box(Number.NaN, 0, 10, 10), box(0, 0, 10, 10))).to.equal(0)
    expect(iou(box(0, 0, Number.POSITIVE_INFINITY, 10), box(0, 0, 10, 10))).to.equal(0)
    expect(isSoundBox(box(0, 0, Number.POSITIVE_INFINITY, 10))).to.equal(false)
  })
})

describe('nonMaximumSuppression', () => {
  it('keeps the most confident of boxes that overlap more than the threshold', () => {
    const weak = scored(0.5, box(0, 0, 10, 10))
    const strong = scored(0.9, box(1, 0, 11, 10))
    const apart = scored(0.4, box(50, 50, 60, 60))

    const kept = nonMaximumSuppression([weak, strong, apart], { iouThreshold: 0.5 })

    expect(kept).to.deep.equal([strong, apart])
  })

  it('keeps both boxes when they overlap exactly at the threshold', () => {
    const boxes = [scored(0.9, box(0, 0, 10, 10)), scored(0.8, box(5, 0, 15, 10))]

    expect(nonMaximumSuppression(boxes, { iouThreshold: 1 / 3 })).to.have.lengthOf(2)
  })

  it('lets boxes of different categories overlap when asked to', () => {
    const boxes = [scored(0.9, box(0, 0, 10, 10), 0), scored(0.8, box(0, 0, 10, 10), 1)]

    expect(nonMaximumSuppression(boxes, { iouThreshold: 0.5 })).to.have.lengthOf(1)
    expect(nonMaximumSuppression(boxes, { iouThreshold: 0.5, perCategory: true })).to.have.lengthOf(2)
  })

  it('drops NaN and infinite confidences and leaves its input as it was', () => {
    const boxes = [scored(Number.NaN, box(0, 0, 1, 1)), scored(Number.POSITIVE_INFINITY, box(5, 5, 6, 6))]

    expect(nonMaximumSuppression(boxes, { iouThreshold: 0.5 })).to.deep.equal([])
    expect(boxes).to.have.lengthOf(2)
  })

  it('bounds its work on a model that sees something everywhere', () => {
    const everywhere = Array.from({ length: 20_000 }, (_, index) =>
      scored(1 - index / 40_000, box(index * 10, 0, index * 10 + 5, 5)),
    )

    expect(nonMaximumSuppression(everywhere, { iouThreshold: 0.5 })).to.have.lengthOf(300)
  })
})
