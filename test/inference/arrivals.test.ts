import { getHeapSpaceStatistics } from 'node:v8'
import { expect } from 'chai'
import { Arrivals } from '../../src/inference/arrivals.js'

describe('Arrivals', () => {
  it('come out in their order, and one that leaves does not come out', () => {
    const arrivals = new Arrivals<string>()
    for (const name of ['a', 'b', 'c', 'd']) arrivals.add(name)
    arrivals.remove('b')
    arrivals.remove('b')
    arrivals.remove('never there')
    expect([arrivals.size, arrivals.first(), arrivals.all()]).to.eql([3, 'a', ['a', 'c', 'd']])
    expect([arrivals.take(), arrivals.take(), arrivals.take(), arrivals.take()]).to.eql(['a', 'c', 'd', undefined])
    expect([arrivals.size, arrivals.first()]).to.eql([0, undefined])
  })

  it('leave nothing in the old generation of the heap', () => {
    const arrivals = new Arrivals<{ readonly request: number[] }>()
    const before = oldBytes()
    for (let count = 0; count < 400_000; count += 1) {
      arrivals.add({ request: [count, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] })
      if (arrivals.size > 8) arrivals.take()
    }
    expect(oldBytes() - before, 'bytes; with a Set some 25 million').to.be.below(4_000_000)
  })
})

function oldBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')?.space_used_size ?? 0
}
