import { expect } from 'chai'
import { TrainingAbortedError } from '../../src/base/abort-reasons.js'
import { backOffMs, retry } from '../../src/base/back-off.js'
import { LoopfleetError } from '../../src/base/errors.js'
import { rejection } from '../helpers/rejection.js'

const QUICK = { firstMs: 1, maxMs: 2 }

describe('the back-off', () => {
  it('doubles from one second up to five minutes', () => {
    const waits = [1, 2, 3, 9, 10, 1000].map((attempt) => backOffMs(attempt, {}, () => 0))

    expect(waits).to.deep.equal([1000, 2000, 4000, 256_000, 300_000, 300_000])
  })

  it('is shortened by chance, never lengthened', () => {
    expect(backOffMs(1, { jitter: 0.2 }, () => 1)).to.equal(800)
    expect(backOffMs(1, { jitter: 0.2 }, () => 0)).to.equal(1000)
  })
})

describe('a retry', () => {
  const signal = new AbortController().signal
  const failing = (times: number, error: Error) => async (attempt: number) => {
    if (attempt <= times) throw error
    return attempt
  }

  it('goes on until the work succeeds and tells of each failure', async () => {
    const told: number[] = []

    const answer = await retry(failing(3, new Error('network')), {
      signal,
      backOff: QUICK,
      onRetry: ({ attempt }) => told.push(attempt),
    })

    expect(answer).to.equal(4)
    expect(told).to.deep.equal([1, 2, 3])
  })

  it('throws the last error when the attempts are used up', async () => {
    const error = new Error('network')

    expect(await rejection(retry(failing(9, error), { signal, attempts: 3, backOff: QUICK }))).to.equal(error)
  })

  it('does not repeat what is fatal', async () => {
    const error = new LoopfleetError('LF_TEST', 'Never.')

    expect(await rejection(retry(failing(1, error), { signal, backOff: QUICK }))).to.equal(error)
  })

  it('ends with the reason of the signal while it waits', async () => {
    const abort = new AbortController()
    const reason = new TrainingAbortedError()
    const onRetry = (): void => {
      setImmediate(() => abort.abort(reason))
    }

    const waiting = retry(failing(9, new Error('network')), {
      signal: abort.signal,
      backOff: { firstMs: 60_000 },
      onRetry,
    })

    expect(await rejection(waiting)).to.equal(reason)
  })

  it('tells an abort as such and not as what it broke', async () => {
    const abort = new AbortController()
    const reason = new TrainingAbortedError()

    const broken = retry(
      async () => {
        abort.abort(reason)
        throw new Error('socket closed')
      },
      { signal: abort.signal },
    )

    expect(await rejection(broken)).to.equal(reason)
  })
})
