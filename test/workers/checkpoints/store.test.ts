import { expect } from 'chai'
import { isOver } from '../../../src/workers/checkpoints/store.js'

describe('a training that needs its checkpoints no more', () => {
  const options = { keepFailedMs: 1000, now: 5000 }

  it('was completed or aborted, or has failed long ago', () => {
    expect(isOver({ outcome: 'completed', endedAt: 4999 }, options)).to.equal(true)
    expect(isOver({ outcome: 'aborted', endedAt: 4999 }, options)).to.equal(true)
    expect(isOver({ outcome: 'failed', endedAt: 3999 }, options)).to.equal(true)
  })

  it('is none that goes on, may be retried, or is unknown to this fleet', () => {
    expect(isOver({ outcome: null, endedAt: null }, options)).to.equal(false)
    expect(isOver({ outcome: 'failed', endedAt: 4001 }, options)).to.equal(false)
    expect(isOver(undefined, options)).to.equal(false)
  })
})
