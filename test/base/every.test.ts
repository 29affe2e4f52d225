import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { createClosers } from '../../src/base/closers.js'
import { every } from '../../src/base/every.js'
import { silentLogger } from '../../src/base/logger/logger.js'
import { until } from '../helpers/until.js'

describe('work that is repeated', () => {
  it('begins after its time, never overlaps, and ends with its owner', async () => {
    const closers = createClosers(silentLogger())
    let began = 0
    let ended = 0
    every(
      1,
      async () => {
        expect(ended).to.equal(began)
        began += 1
        await sleep(3)
        ended += 1
      },
      closers,
    )
    expect(began).to.equal(0)
    await until('it has been done three times', () => began >= 3)

    await closers.closeAll()
    expect(ended).to.equal(began)
    await sleep(10)
    expect(ended).to.equal(began)
  })

  it('is told when its owner ends, and waited for', async () => {
    const closers = createClosers(silentLogger())
    let end = ''
    every(
      1,
      async (signal) => {
        await sleep(60_000, undefined, { signal }).catch(() => undefined)
        end = String(signal.reason)
      },
      closers,
    )
    await sleep(10)
    await closers.closeAll('shutdown')
    expect(end).to.equal('shutdown')
  })

  it('goes on when it throws', async () => {
    const closers = createClosers(silentLogger())
    let times = 0
    every(
      1,
      () => {
        times += 1
        throw new Error('it failed')
      },
      closers,
    )
    await until('it was tried again', () => times >= 2)
    await closers.closeAll()
  })

  it('asks for each pause when it begins', async () => {
    const closers = createClosers(silentLogger())
    const pauses: number[] = []
    const wanted = [1, 2, 60_000]
    every(
      () => {
        const pauseMs = wanted[pauses.length] ?? 60_000
        pauses.push(pauseMs)
        return pauseMs
      },
      () => undefined,
      closers,
    )
    await until('the long pause has begun', () => pauses.length === 3)
    await closers.closeAll()
    expect(pauses).to.deep.equal(wanted)
  })
})
