import { expect } from 'chai'
import type { Box } from '../../../src/inference/decoders/boxes.js'
import { type InferenceCategory, toFindings } from '../../../src/inference/findings/findings.js'
import type { Placement } from '../../../src/inference/image/placement.js'

const CATEGORIES: readonly InferenceCategory[] = [
  { id: 'b', name: 'box', type: 'box' },
  { id: 'p', name: 'point', type: 'point' },
  { id: 's', name: 'shape', type: 'segmentation' },
]
const AS_IT_IS = { imageWidth: 100, imageHeight: 100, scaleX: 1, scaleY: 1, offsetX: 0, offsetY: 0 }

function found(size: { width: number; height: number; left?: number }, category = 0, place: Placement = AS_IT_IS) {
  const { left = 10, width, height } = size
  const box: Box = { left, top: 10, right: left + width, bottom: 10 + height }
  const outline = [
    { x: box.left, y: box.top },
    { x: box.right, y: box.top },
    { x: box.right, y: box.bottom },
  ]
  const candidate = { box, confidence: 0.9, categoryIndex: category, ...(category === 2 && { outline }) }
  const findings = toFindings({ kind: 'boxes', candidates: [candidate] }, place, { categories: CATEGORIES })
  return [...findings.box_detections, ...findings.point_detections, ...findings.segmentation_detections].length
}

describe('A finding of at most 2 pixels on one edge', () => {
  it('is dropped, and one of more is kept', () => {
    expect(found({ width: 2, height: 40 })).to.equal(0)
    expect(found({ width: 40, height: 2 })).to.equal(0)
    expect(found({ width: 0.4, height: 0.4 })).to.equal(0)
    expect(found({ width: 2.25, height: 40 })).to.equal(1)
    expect(found({ width: 40, height: 3 })).to.equal(1)
  })

  it('is measured in pixels of the image, not of the input', () => {
    const shrunk = { ...AS_IT_IS, imageWidth: 400, imageHeight: 400, scaleX: 0.25, scaleY: 0.25 }
    const enlarged = { ...AS_IT_IS, imageWidth: 25, imageHeight: 25, scaleX: 4, scaleY: 4 }
    const stretched = { ...AS_IT_IS, imageWidth: 400, scaleX: 0.25 }

    expect(found({ width: 1, height: 1 }, 0, shrunk)).to.equal(1)
    expect(found({ width: 8, height: 8 }, 0, enlarged)).to.equal(0)
    expect(found({ width: 9, height: 9 }, 0, enlarged)).to.equal(1)
    expect(found({ width: 1, height: 3 }, 0, stretched)).to.equal(1)
    expect(found({ width: 3, height: 1 }, 0, stretched)).to.equal(0)
  })

  it('is measured before it is cut at the edge of the image', () => {
    expect(found({ left: -9, width: 10, height: 10 })).to.equal(1)
  })

  for (const [index, name] of [
    [1, 'point'],
    [2, 'shape'],
  ] as const) {
    it(`is dropped as a ${name} too`, () => {
      expect(found({ width: 2, height: 10 }, index)).to.equal(0)
      expect(found({ width: 3, height: 10 }, index)).to.equal(1)
    })
  }
})
