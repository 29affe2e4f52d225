import { expect } from 'chai'
import { type AdaptiveLimit, createAdaptiveLimit } from '../../../../src/loop/client/images/adaptive-limit.js'

describe('Adaptive limit', () => {
  function succeed(limit: AdaptiveLimit, times: number, latencyMs: number): void {
    for (let count = 0; count < times; count += 1) limit.succeeded(latencyMs)
  }

  it('grows by one per round that goes well, up to its maximum', () => {
    const limit = createAdaptiveLimit({ start: 4, max: 8 })

    succeed(limit, 5, 50)
    const afterOneRound = limit.limit
    succeed(limit, 500, 50)

    expect(afterOneRound).to.equal(5)
    expect(limit.limit).to.equal(8)
  })

  it('halves for a round of refusals, once, and never goes below one', () => {
    const limit = createAdaptiveLimit({ start: 16 })

    for (let count = 0; count < 16; count += 1) limit.refused()
    const afterOneRound = limit.limit
    for (let count = 0; count < 200; count += 1) limit.refused()

    expect(afterOneRound).to.equal(8)
    expect(limit.limit).to.equal(1)
  })

  it('shrinks when answers take much longer than usual, and grows again when they do not', () => {
    const limit = createAdaptiveLimit({ start: 16, max: 32 })
    succeed(limit, 300, 50)

    succeed(limit, 60, 500)
    const underLoad = limit.limit
    succeed(limit, 500, 50)

    expect(underLoad).to.be.lessThan(20)
    expect(limit.limit).to.equal(32)
  })

  it('is not impressed by noise', () => {
    const limit = createAdaptiveLimit({ start: 16, max: 32 })

    for (let count = 0; count < 500; count += 1) limit.succeeded(count % 2 === 0 ? 2 : 20)

    expect(limit.limit).to.equal(32)
  })

  it('lets no more work run than it allows, in the order in which it came', async () => {
    const limit = createAdaptiveLimit({ start: 2, max: 2 })
    const begun: number[] = []
    const ends: (() => void)[] = []
    const work = (id: number) =>
      limit.run(() => {
        begun.push(id)
        return new Promise<void>((resolve) => ends.push(resolve))
      })
    const all = [work(1), work(2), work(3)]
    await Promise.resolve()

    const atFirst = [...begun]
    ends[0]?.()
    await all[0]
    await Promise.resolve()
    ends[1]?.()
    ends[2]?.()
    await Promise.all(all)

    expect(atFirst).to.deep.equal([1, 2])
    expect(begun).to.deep.equal([1, 2, 3])
  })
})
