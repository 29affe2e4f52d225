import { expect } from 'chai'
import { createThrottle } from '../../../src/workers/engine/throttle.js'
import { rejection } from '../../helpers/rejection.js'
import { until } from '../../helpers/until.js'

describe('the throttle of progress', () => {
  it('passes the first value on immediately and then only the newest of each interval', async () => {
    const written: { readonly value: number; readonly at: number }[] = []
    const throttle = createThrottle(100, async (value: number) => {
      written.push({ value, at: performance.now() })
    })

    throttle.offer(1)
    await until('the first write', () => written.length === 1)
    throttle.offer(2)
    throttle.offer(3)
    throttle.offer(4)
    await until('the second write', () => written.length === 2)

    expect(written.map(({ value }) => value)).to.deep.equal([1, 4])
    const [first, second] = written
    expect((second?.at ?? 0) - (first?.at ?? 0)).to.be.at.least(95)
  })

  it('writes what is held back when it is flushed, and waits for it', async () => {
    const written: string[] = []
    const throttle = createThrottle(60_000, async (value: string) => {
      await Promise.resolve()
      written.push(value)
    })
    throttle.offer('first')
    await until('the first write', () => written.length === 1)
    throttle.offer('last')

    await throttle.flush()

    expect(written).to.deep.equal(['first', 'last'])
  })

  it('never writes twice at the same time, and after a slow write only the newest value', async () => {
    const begun: number[] = []
    const gates: (() => void)[] = []
    const throttle = createThrottle(5, (value: number) => {
      begun.push(value)
      return new Promise<void>((resolve) => gates.push(resolve))
    })
    throttle.offer(1)
    await until('the first write', () => begun.length === 1)
    for (let value = 2; value <= 6; value += 1) {
      throttle.offer(value)
      await new Promise((resolve) => setTimeout(resolve, 8)) // longer than the interval
    }
    expect(begun).to.deep.equal([1])

    gates[0]?.()
    await until('the second write', () => begun.length === 2)
    gates[1]?.()
    await throttle.flush()

    expect(begun).to.deep.equal([1, 6])
  })

  it('lets an interval pass after the end of a slow write', async () => {
    const ends: number[] = []
    const begins: number[] = []
    const throttle = createThrottle(100, async () => {
      begins.push(performance.now())
      await new Promise((resolve) => setTimeout(resolve, 150))
      ends.push(performance.now())
    })
    throttle.offer(1)
    await until('the first write', () => begins.length === 1)
    throttle.offer(2)
    await until('the second write', () => begins.length === 2)

    expect((begins[1] ?? 0) - (ends[0] ?? 0)).to.be.at.least(95)
    await throttle.flush()
  })

  it('goes on after a write that failed, and rejects the flush', async () => {
    const written: number[] = []
    const throttle = createThrottle(1, async (value: number) => {
      if (value === 1) throw new Error('Redis is away')
      written.push(value)
    })
    throttle.offer(1)
    const error = await rejection(throttle.flush())
    expect(error.message).to.equal('Redis is away')

    throttle.offer(2)
    await throttle.flush()

    expect(written).to.deep.equal([2])
  })

  it('never writes what was dropped', async () => {
    const written: number[] = []
    const throttle = createThrottle(1, async (value: number) => void written.push(value))
    throttle.offer(1)

    throttle.drop()
    await throttle.flush()

    expect(written).to.deep.equal([])
  })

  it('gives what it holds to a caller that writes it by other means, after the write under way', async () => {
    const written: number[] = []
    let finish: (() => void) | undefined
    const throttle = createThrottle(1, async (value: number) => {
      await new Promise<void>((resolve) => (finish = resolve))
      written.push(value)
    })
    throttle.offer(1)
    await until('it is being written', () => finish !== undefined)
    throttle.offer(2)

    const taking = throttle.take()
    finish?.()

    expect(await taking).to.equal(2)
    expect(written).to.deep.equal([1])
    expect(await throttle.take()).to.equal(undefined)
    await throttle.flush()
    expect(written).to.deep.equal([1])
  })

  it('has nothing to flush when nothing was offered', async () => {
    const throttle = createThrottle(1, () => Promise.reject(new Error('nobody asked')))

    await throttle.flush()
  })
})
