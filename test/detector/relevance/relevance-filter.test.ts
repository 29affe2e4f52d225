import { expect } from 'chai'
import fc from 'fast-check'
import { createRelevanceFilter, type RelevanceOptions } from '../../../src/detector/relevance/relevance-filter.js'
import { emptyFindings, type Findings } from '../../../src/inference/findings/findings.js'

describe('the relevance filter', () => {
  let nowMs = 0
  beforeEach(() => {
    nowMs = 1_000_000
  })
  const filterOf = (options: RelevanceOptions = {}) => createRelevanceFilter(options, { now: () => nowMs })
  const seconds = (count: number) => {
    nowMs += count * 1000
  }

  it('finds a new object uncertain from 0.3 to 0.6, both ends included', () => {
    const causes = [0.29, 0.3, 0.45, 0.6, 0.61].map((confidence) => filterOf().causes(boxes({ confidence }), 'a'))

    expect(causes).to.deep.equal([[], ['uncertain'], ['uncertain'], ['uncertain'], []])
  })

  it('takes its range from its options', () => {
    const filter = filterOf({ minUncertain: 0.1, maxUncertain: 0.2 })

    expect(filter.causes(boxes({ confidence: 0.1 }), 'a')).to.deep.equal(['uncertain'])
    expect(filter.causes(boxes({ confidence: 0.45, x: 500 }), 'a')).to.deep.equal([])
    expect(() => filterOf({ minUncertain: 0.7 })).to.throw('lower end')
    expect(() => filterOf({ maxUncertain: 1.5 })).to.throw()
  })

  it('knows an object again by a box that covers half of what both cover', () => {
    const filter = filterOf()
    filter.causes(boxes({ width: 30, height: 10 }), 'a')

    expect(filter.causes(boxes({ x: 10, width: 30, height: 10 }), 'a'), 'IoU 0.5').to.deep.equal([])
    expect(filter.causes(boxes({ x: 21, width: 30, height: 10 }), 'a'), 'IoU < 0.5 to both').to.deep.equal([
      'uncertain',
    ])
  })

  it('knows a point again within less than ten pixels', () => {
    const filter = filterOf()
    filter.causes(points({ x: 100, y: 100 }), 'a')

    expect(filter.causes(points({ x: 109.9, y: 100 }), 'a')).to.deep.equal([])
    expect(filter.causes(points({ x: 100, y: 110 }), 'a')).to.deep.equal(['uncertain'])
  })

  it('takes objects of another category for others', () => {
    const filter = filterOf()
    filter.causes(boxes({ category_name: 'cat' }), 'a')

    expect(filter.causes(boxes({ category_name: 'dog' }), 'a')).to.deep.equal(['uncertain'])
    expect(filter.causes(boxes({ category_name: 'cat' }), 'a')).to.deep.equal([])
  })

  it('never takes a point for a box', () => {
    const filter = filterOf()
    filter.causes(boxes({ x: 0, y: 0 }), 'a')

    expect(filter.causes(points({ x: 0, y: 0 }), 'a')).to.deep.equal(['uncertain'])
  })

  it('remembers a new object whatever its confidence', () => {
    const filter = filterOf()
    filter.causes(boxes({ confidence: 0.95 }), 'a')

    expect(filter.causes(boxes({ confidence: 0.45 }), 'a')).to.deep.equal([])
  })

  it('compares the objects of one image with each other too', () => {
    expect(filterOf().causes(boxes({ confidence: 0.95 }, { confidence: 0.45 }), 'a')).to.deep.equal([])
    expect(filterOf().causes(boxes({ confidence: 0.45 }, { confidence: 0.95 }), 'a')).to.deep.equal(['uncertain'])
  })

  it('forgets an object that was not seen for an hour', () => {
    const filter = filterOf()
    filter.causes(boxes({}), 'a')
    seconds(3600)
    expect(filter.causes(boxes({}), 'a')).to.deep.equal([])
    seconds(3601)

    expect(filter.causes(boxes({}), 'a')).to.deep.equal(['uncertain'])
  })

  it('remembers an object for as long as it is seen again', () => {
    const filter = filterOf()
    const causes = Array.from({ length: 5 }, () => {
      seconds(3000)
      return filter.causes(boxes({}), 'a')
    })

    expect(causes).to.deep.equal([['uncertain'], [], [], [], []])
  })

  it('refreshes all objects that are similar, not just the first', () => {
    const filter = filterOf()
    filter.causes(points({ x: 0 }, { x: 18 }), 'a')
    seconds(3000)
    filter.causes(points({ x: 9 }), 'a')
    seconds(3000)

    expect(filter.causes(points({ x: 0 }), 'a')).to.deep.equal([])
    expect(filter.causes(points({ x: 18 }), 'a')).to.deep.equal([])
  })

  it('forgets objects of unnamed cameras as well', () => {
    for (const dialect of ['0.8', 'current'] as const) {
      const filter = filterOf({ dialect })
      filter.causes(boxes({}), null)
      seconds(3601)

      expect(filter.causes(boxes({}), null), dialect).to.deep.equal(['uncertain'])
    }
  })

  it('keeps a history for each camera, and one for all without a name', () => {
    const filter = filterOf()
    const ids = ['a', 'b', null, 'a', 'b', null]

    expect(ids.map((id) => filter.causes(boxes({}), id).length)).to.deep.equal([1, 1, 1, 0, 0, 0])
  })

  it('always wants images with a segmentation', () => {
    const filter = filterOf()
    const found = findings({
      segmentation_detections: [{ ...named({ confidence: 0.99 }), shape: { points: [] } }],
    })

    expect(filter.causes(found, 'a')).to.deep.equal(['segmentation_detection'])
    expect(filter.causes(found, 'a')).to.deep.equal(['segmentation_detection'])
  })

  it('wants uncertain classifications in the current dialect, each time', () => {
    const filter = filterOf({ dialect: 'current' })

    expect(filter.causes(classes(0.3), 'a')).to.deep.equal(['uncertain'])
    expect(filter.causes(classes(0.3), 'a')).to.deep.equal(['uncertain'])
    expect(filter.causes(classes(0.7), 'a')).to.deep.equal([])
  })

  it('always wants classifications in dialect 0.8', () => {
    expect(filterOf({ dialect: '0.8' }).causes(classes(0.99), 'a')).to.deep.equal(['classification_detection'])
  })

  it('wonders at eighty detections in one image, and says so last', () => {
    const many = (count: number) => boxes(...Array.from({ length: count }, (_, index) => ({ x: index * 100 })))

    expect(filterOf().causes(many(79), 'a')).to.deep.equal(['uncertain'])
    expect(filterOf().causes(many(80), 'a')).to.deep.equal(['uncertain', 'unexpected_observations_count'])
  })

  it('counts detections of all kinds', () => {
    const found = { ...boxes(...Array(78).fill({ confidence: 0.9 })), ...pick('point_detections', points({})) }
    const all = { ...found, ...pick('classification_detections', classes(0.9)) }

    expect(filterOf().causes(all, 'a').at(-1)).to.equal('unexpected_observations_count')
  })

  it('has no reason for an image without detections', () => {
    expect(filterOf().causes(emptyFindings(), null)).to.deep.equal([])
  })

  it('forgets the camera unused for longest when there are too many', () => {
    const filter = filterOf({ maxCameras: 2 })
    for (const id of ['a', 'b', 'a', 'c']) filter.causes(boxes({}), id)

    expect(filter.causes(boxes({}), 'a')).to.deep.equal([])
    expect(filter.causes(boxes({}), 'b')).to.deep.equal(['uncertain'])
  })

  it('forgets the objects unseen for longest when a camera sees too many', () => {
    const filter = filterOf({ maxObjects: 10 })
    for (let number = 0; number < 50; number += 1) {
      seconds(1)
      filter.causes(boxes({ x: number * 100 }), 'a')
    }

    expect(filter.causes(boxes({ x: 4900 }), 'a')).to.deep.equal([])
    expect(filter.causes(boxes({ x: 0 }), 'a')).to.deep.equal(['uncertain'])
  })

  it('gives each cause once, and none for what it has just seen, whatever the boxes', () => {
    const anyBox = fc.record({
      x: fc.integer({ min: 0, max: 300 }),
      y: fc.integer({ min: 0, max: 300 }),
      width: fc.integer({ min: 1, max: 100 }),
      height: fc.integer({ min: 1, max: 100 }),
      confidence: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    fc.assert(
      fc.property(fc.array(anyBox, { maxLength: 79 }), (some) => {
        const filter = filterOf()
        const first = filter.causes(boxes(...some), 'a')
        expect(first).to.have.lengthOf(new Set(first).size)
        expect(filter.causes(boxes(...some), 'a')).to.deep.equal([])
      }),
    )
  })
})

type Change = { category_name?: string; confidence?: number; x?: number; y?: number; width?: number; height?: number }

function named({ category_name = 'cat', confidence = 0.45 }: Change) {
  return { category_name, category_id: 'id', confidence }
}

function findings(some: Partial<Findings>): Findings {
  return { ...emptyFindings(), ...some }
}

function boxes(...changes: Change[]): Findings {
  return findings({
    box_detections: changes.map((change) => {
      const { x = 0, y = 0, width = 50, height = 50 } = change
      return { ...named(change), x, y, width, height }
    }),
  })
}

function points(...changes: Change[]): Findings {
  return findings({
    point_detections: changes.map((change) => ({ ...named(change), x: change.x ?? 0, y: change.y ?? 0 })),
  })
}

function classes(confidence: number): Findings {
  return findings({ classification_detections: [named({ confidence })] })
}

function pick<Key extends keyof Findings>(key: Key, found: Findings): Pick<Findings, Key> {
  return { [key]: found[key] } as Pick<Findings, Key>
}
