import { expect } from 'chai'
import { createFurthest, type Reached } from '../../../src/workers/trainings/furthest.js'

describe('how far a training has ever been', () => {
  const blank = { facts: {}, best: null }
  const after = (before: Parameters<typeof createFurthest>[0], steps: readonly Reached[]) => {
    let worked = 0
    const furthest = createFurthest(before)
    const watch = furthest.watch(() => (worked += 1))
    for (const step of steps) furthest.reached(step)
    const { epoch, hasWorked, hasGained } = watch
    return { epoch, hasWorked, hasGained, worked, facts: furthest.unwritten().facts }
  }

  const cases: readonly [string, Reached[], object, Parameters<typeof createFurthest>[0]?][] = [
    ['nothing', [], { hasWorked: false, hasGained: false, facts: undefined }],
    ['an epoch that has just begun', [{ epoch: 1 }], { epoch: 1, hasWorked: false, hasGained: false }],
    ['no progress yet', [{ progress: 0 }], { epoch: null, hasWorked: false, hasGained: false }],
    [
      'results of an epoch',
      [{ epoch: 1, isDone: true }],
      { hasWorked: true, hasGained: true, facts: { furthestEpoch: 1 } },
    ],
    [
      'results of epoch 0',
      [{ epoch: 0, isDone: true }],
      { hasWorked: true, hasGained: true, facts: { furthestEpoch: 0 } },
    ],
    [
      'the beginning of the next epoch',
      [{ epoch: 1 }, { epoch: 2 }],
      { hasWorked: true, hasGained: true, facts: { furthestEpoch: 1 } },
    ],
    [
      'an epoch that it has had',
      [{ epoch: 3, isDone: true }],
      { hasWorked: true, hasGained: false, facts: undefined },
      { facts: { furthestEpoch: 3 }, best: null },
    ],
    [
      'an epoch of which an older version has noted the best model',
      [{ epoch: 3, isDone: true }],
      { hasGained: false },
      { facts: {}, best: { epoch: 3 } },
    ],
    [
      'progress without epochs',
      [{ progress: 0 }, { progress: 0.2 }],
      { hasWorked: true, hasGained: true, facts: { furthestProgress: 0.2 } },
    ],
    [
      'progress of an epoch, which tells nothing that the epoch does not',
      [{ epoch: 2, isDone: true }, { progress: 0.9 }],
      { hasGained: false },
      { facts: { furthestEpoch: 2 }, best: null },
    ],
    ['a model without an epoch', [{ isDone: true }], { hasWorked: true, hasGained: false }],
  ]
  for (const [title, steps, expected, before = blank] of cases) {
    it(`is known of a program that reports ${title}`, () => {
      expect(after(before, steps)).to.deep.include(expected)
    })
  }

  it('says once that a program works, and asks for each value once', () => {
    const furthest = createFurthest(blank)
    let worked = 0
    furthest.watch(() => (worked += 1))
    furthest.reached({ epoch: 1, isDone: true })
    furthest.reached({ epoch: 2, isDone: true })
    const { facts, confirm } = furthest.unwritten()
    furthest.reached({ epoch: 3, isDone: true })
    confirm()

    expect([worked, facts, furthest.unwritten().facts]).to.deep.equal([1, { furthestEpoch: 2 }, { furthestEpoch: 3 }])
  })
})
