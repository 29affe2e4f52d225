import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createService, type Open, type OwnedService } from '../../src/base/service.js'
import { rejection } from '../helpers/rejection.js'

const never = new AbortController().signal

describe('a service', () => {
  let opened: string[]
  let closed: string[]
  beforeEach(() => {
    opened = []
    closed = []
  })

  const make = (open: Open): OwnedService => createService('test', open, { log: silentLogger() })

  /** Opens a and b; `between` runs after a. */
  const twoThings = (between: (signal: AbortSignal) => Promise<unknown> = async () => undefined): Open => {
    return async (signal, closers) => {
      opened.push('a')
      closers.add('a', () => closed.push('a'))
      await between(signal)
      opened.push('b')
      closers.add('b', () => closed.push('b'))
    }
  }

  it('opens in order and closes in reverse order, once, however often it is stopped', async () => {
    const service = make(twoThings())
    await service.start({ signal: never })
    expect(closed).to.deep.equal([])

    await Promise.all([service.stop(), service.stop(), service[Symbol.asyncDispose]()])
    await service.stop()

    expect(opened).to.deep.equal(['a', 'b'])
    expect(closed).to.deep.equal(['b', 'a'])
  })

  it('opens nothing when it is stopped before it is started', async () => {
    const service = make(twoThings())
    await service.stop()

    expect(await rejection(service.start({ signal: never }))).to.include({ code: 'LF_SERVICE_STOPPED' })
    expect(opened).to.deep.equal([])
  })

  it('opens nothing when its signal has aborted, and throws the reason', async () => {
    const reason = new Error('asked to end')

    expect(await rejection(make(twoThings()).start({ signal: AbortSignal.abort(reason) }))).to.equal(reason)
    expect(opened).to.deep.equal([])
  })

  it('opens once when it is started twice', async () => {
    const service = make(twoThings())
    await Promise.all([service.start({ signal: never }), service.start({ signal: never })])

    expect(opened).to.deep.equal(['a', 'b'])
    await service.stop()
  })

  for (const how of ['stop', 'its signal'] as const) {
    it(`closes what it has opened so far when ${how} comes while it starts`, async () => {
      const gate = heldPromise()
      const controller = new AbortController()
      const service = make(twoThings((signal) => Promise.race([gate.passed, abortOf(signal)])))
      const starting = rejection(service.start({ signal: controller.signal }))
      await Promise.resolve()

      if (how === 'stop') await service.stop(new Error('why'))
      else controller.abort(new Error('why'))

      expect(await starting).to.have.property('message', 'why')
      await service.stop()
      expect(opened).to.deep.equal(['a'])
      expect(closed).to.deep.equal(['a'])
    })
  }

  it('closes what an opener that ignores its signal opens later', async () => {
    const gate = heldPromise()
    const service = make(twoThings(() => gate.passed))
    const starting = rejection(service.start({ signal: never }))
    const stopping = service.stop()
    gate.release()
    await stopping
    await starting

    expect(opened).to.deep.equal(['a', 'b'])
    expect(closed).to.deep.equal(['b', 'a'])
  })

  it('ends although its opener never does, and closes what that opens after the end', async () => {
    const gate = heldPromise()
    const service = make(twoThings(() => gate.passed))
    const starting = rejection(service.start({ signal: never }))
    await service.stop()
    await starting
    expect(closed).to.deep.equal(['a'])

    gate.release()
    await sleep(1)
    expect(closed).to.deep.equal(['a', 'b'])
  }).timeout(5000)

  it('closes what it has opened when opening fails, and throws that error', async () => {
    const service = make(
      twoThings(async () => {
        throw new Error('no port')
      }),
    )

    expect(await rejection(service.start({ signal: never }))).to.have.property('message', 'no port')
    expect(closed).to.deep.equal(['a'])
  })

  it('closes the rest when one thing does not close', async () => {
    const service = make(async (_signal, closers) => {
      closers.add('a', () => closed.push('a'))
      closers.add('b', async () => {
        throw new Error('it is stuck')
      })
    })
    await service.start({ signal: never })
    await service.stop()

    expect(closed).to.deep.equal(['a'])
  })

  it('lives on when the signal of its start aborts later', async () => {
    const controller = new AbortController()
    const service = make(twoThings())
    await service.start({ signal: controller.signal })
    controller.abort()
    await sleep(1)

    expect(service.signal.aborted).to.equal(false)
    expect(closed).to.deep.equal([])
    await service.stop()
  })

  it('aborts its signal with the reason of its end, before it closes anything', async () => {
    const reason = new Error('shutdown')
    const seen: unknown[] = []
    const service: OwnedService = make((signal, closers) => {
      closers.add('a', (why) => seen.push(signal.reason, why))
    })
    await service.start({ signal: never })
    await service.stop(reason)

    expect(seen).to.deep.equal([reason, reason])
  })
})

function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

function heldPromise(): { readonly passed: Promise<void>; release(): void } {
  let release: () => void = () => undefined
  const passed = new Promise<void>((resolve) => {
    release = resolve
  })
  return { passed, release: () => release() }
}
