import { expect } from 'chai'
import { compareBoxes, type ParityBox } from './compare-boxes.js'
import { type ParitySet, runParity } from './run-parity.js'

describe('Detections beside those of Ultralytics, with a trained YOLO', function () {
  this.timeout(120_000)
  let sets: ParitySet[]
  before(async () => {
    sets = (await runParity()).sets
  })
  const confidencesApart = (some: readonly ParitySet[]) =>
    some.flatMap(({ pairs }) => pairs.map(({ ours, theirs }) => Math.abs(ours.confidence - theirs.confidence)))

  it('are the same boxes, one to one, for at least 500 of middle confidence', () => {
    const middle = sets
      .flatMap(({ pairs }) => pairs)
      .filter(({ theirs: { confidence } }) => confidence >= 0.25 && confidence <= 0.95)

    expect(middle.length).to.be.at.least(500)
    expect(Math.max(...confidencesApart(sets))).to.be.at.most(0.02)
  })

  it('have the same confidence within a thousandth where the image has the size of the input', () => {
    const exact = sets.filter(({ name }) => name === 'scale-1')

    expect(exact[0]?.pairs.length).to.be.at.least(100)
    expect(Math.max(...confidencesApart(exact))).to.be.at.most(0.001)
  })

  it('differ only at the threshold and at the limit of suppression', () => {
    const singles = sets.flatMap((set) => set.singles)

    expect(singles.filter(({ excuse }) => excuse === undefined)).to.deep.equal([])
  })
})

describe('Comparing boxes', () => {
  const found = (confidence: number, left: number, category = 'circle'): ParityBox => {
    return { category, confidence, box: { left, top: 0, right: left + 10, bottom: 10 } }
  }
  const limits = { threshold: 0.2, nmsIou: 0.45 }

  it('matches each box once, with the nearest of its category', () => {
    const { pairs, singles } = compareBoxes(
      [found(0.9, 0), found(0.8, 1)],
      [found(0.9, 1), found(0.8, 1, 'star')],
      limits,
    )

    expect(pairs.map(({ ours }) => ours.confidence)).to.deep.equal([0.8])
    expect(singles.map(({ confidence, side, excuse }) => ({ confidence, side, excuse }))).to.deep.equal([
      { confidence: 0.9, side: 'ours', excuse: undefined },
      { confidence: 0.8, side: 'theirs', excuse: undefined },
    ])
  })

  it('excuses a box near the threshold, or beside one that it overlaps as much as suppression allows', () => {
    const overlapping = 10 * (1 - (2 * 0.45) / 1.45)
    const { singles } = compareBoxes([found(0.21, 500), found(0.5, overlapping)], [found(0.9, 0)], limits)

    expect(singles.map(({ excuse }) => excuse)).to.deep.equal(['threshold', 'suppression', undefined])
  })
})
