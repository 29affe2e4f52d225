import { expect } from 'chai'
import { compare, percentile } from '../../bench/figure.js'

describe('a figure of the bench', () => {
  it('has a ratio above 1 when ours is better, whichever way its unit points', () => {
    const seconds = {
      name: 'a',
      unit: 's',
      better: 'lower',
      ours: [1, 3, 2],
      other: { name: 'b', values: [8] },
    } as const
    const rate = {
      ...seconds,
      unit: '1/s',
      better: 'higher',
      ours: [8],
      other: { name: 'b', values: [1, 3, 2] },
    } as const

    expect(compare(seconds)).to.deep.include({ ours: 2, other: 8, ratio: 4, runs: 3 })
    expect(compare(rate)).to.deep.include({ ours: 8, other: 2, ratio: 4, runs: 1 })
  })

  it('has neither another side nor a ratio when there is nothing to compare with', () => {
    const line = compare({ name: 'a', unit: 'MiB', better: 'lower', ours: [5] })

    expect(line).to.deep.equal({ name: 'a', unit: 'MiB', ours: 5, other: null, other_name: null, ratio: null, runs: 1 })
  })

  it('takes percentiles between two values in proportion', () => {
    expect(percentile([4, 1, 3, 2], 0.5)).to.equal(2.5)
    expect(percentile([10, 20], 0.95)).to.equal(19.5)
    expect(percentile([7], 0.95)).to.equal(7)
  })
})
