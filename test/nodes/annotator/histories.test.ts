import { expect } from 'chai'
import { createHistories } from '../../../src/nodes/annotator/histories.js'

describe('the histories of users', () => {
  it('are dropped when they were not used for long, or when there are too many', () => {
    let now = 0
    let made = 0
    const histories = createHistories({ expireMs: 100, maxUsers: 2 }, { create: () => ++made, now: () => now })

    expect([histories.of('a'), histories.of('b'), histories.of('a')]).to.deep.equal([1, 2, 1])
    expect(histories.of('c')).to.equal(3) // b was not used for the longest time
    expect(histories.users()).to.deep.equal(['a', 'c'])
    now = 99
    expect(histories.of('a')).to.equal(1)
    now = 150
    histories.sweep()
    expect(histories.users()).to.deep.equal(['a'])
    expect([histories.delete('a'), histories.delete('a')]).to.deep.equal([true, false])
  })
})
