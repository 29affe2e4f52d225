import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { createProgramPlaces } from '../../../src/workers/conversions/program-places.js'
import { until } from '../../helpers/until.js'

const { signal } = new AbortController()

describe('places for the programs of conversions', () => {
  it('let as many programs run as there are, and the next in order of arrival', async () => {
    const places = createProgramPlaces({ places: 2, onMaxActive: () => undefined })
    const [first, second, third] = [program(), program(), program()]
    const runs = [first, second, third].map((each) => places.run(each.work, signal))
    await turn()
    expect([first.runs, second.runs, third.runs]).to.deep.equal([true, true, false])

    second.end('two')
    expect(await runs[1]).to.equal('two')
    await until('the third one has its place', () => third.runs)

    first.end('one')
    third.end('three')
    expect(await Promise.all(runs)).to.deep.equal(['one', 'two', 'three'])
  })

  it('let two more conversions be under way once a program has shown to be brief', async () => {
    const told: number[] = []
    const places = createProgramPlaces({ places: 3, onMaxActive: (most) => told.push(most) })
    const first = program()
    const run = places.run(first.work, signal)
    await turn()
    expect(told).to.deep.equal([])

    first.end('one')
    await run
    await places.run(async () => 'two', signal)

    expect(told).to.deep.equal([5])
  })

  it('let no more be under way than programs when one takes long', async () => {
    const told: number[] = []
    let now = 0
    const places = createProgramPlaces({ places: 1, onMaxActive: (most) => told.push(most), now: () => now })
    const takes = (ms: number) => places.run(async () => (now += ms), signal)
    await takes(30_000)
    await takes(30_001)
    await takes(30_001)
    await takes(10)

    expect(told).to.deep.equal([3, 1, 3])
  })

  it('are given back by a program that fails, and not kept for one that is not wanted any more', async () => {
    const places = createProgramPlaces({ places: 1, onMaxActive: () => undefined })
    const failing = program()
    const failed = places.run(failing.work, signal).catch((error: unknown) => error)
    const stop = new AbortController()
    const unwanted = program()
    const stopped = places.run(unwanted.work, stop.signal).catch((error: unknown) => error)
    const next = places.run(async () => 'next', signal)

    await turn()
    const [reason, fault] = [new Error('the worker ends'), new Error('odd weights')]
    stop.abort(reason)
    failing.fail(fault)

    expect(await Promise.all([failed, stopped, next])).to.deep.equal([fault, reason, 'next'])
    expect(unwanted.runs).to.equal(false)
  })
})

function program() {
  let settle: { readonly end: (value: string) => void; readonly fail: (error: Error) => void } | undefined
  return {
    work: () => new Promise<string>((end, fail) => (settle = { end, fail })),
    get runs() {
      return settle !== undefined
    },
    end: (value: string) => settle?.end(value),
    fail: (error: Error) => settle?.fail(error),
  }
}
