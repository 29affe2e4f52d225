import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { Service } from '../../src/base/service.js'
import { rejection } from '../helpers/rejection.js'
import { isThorough } from '../helpers/thorough.js'
import { watchOpenResources } from './services/open-resources.js'
import { serviceNames, startWorld, type World, workingServiceNames } from './services/world.js'

const never = new AbortController().signal
/** Beside others a process that was asked to end may take seconds to load and to obey. */
const SETTLE_MS = 10_000
/** Points in the course of a start at which it is interrupted, in ms; 0 is the same tick. All: `npm run test:slow -- services`. */
const MOMENTS = isThorough ? [0, 1, 3, 10, 30, 100] : [0, 10]

const orders: Readonly<Record<string, (service: Service) => Promise<unknown>>> = {
  'stopped before it is started': async (service) => {
    await service.stop()
    expect(await rejection(service.start({ signal: never }))).to.include({ code: 'LF_SERVICE_STOPPED' })
  },
  'started with a signal that has aborted': async (service) => {
    const reason = new Error('asked to end')
    expect(await rejection(service.start({ signal: AbortSignal.abort(reason) }))).to.equal(reason)
  },
  'stopped after its start': async (service) => {
    await service.start({ signal: never })
    await service.stop()
  },
  'stopped when it has run for a while': async (service) => {
    await service.start({ signal: never })
    await sleep(200)
    await service.stop()
  },
  'started twice, stopped twice, and disposed': async (service) => {
    await Promise.all([service.start({ signal: never }), service.start({ signal: never })])
    await Promise.all([service.stop(), service.stop()])
    await service.stop()
    await service[Symbol.asyncDispose]()
  },
  ...Object.fromEntries(
    MOMENTS.flatMap((ms) => [
      [
        `stopped ${ms} ms after its start began`,
        async (service: Service) => {
          const starting = service.start({ signal: never }).catch(() => undefined)
          if (ms > 0) await sleep(ms)
          await service.stop()
          await starting
        },
      ],
      [
        `started with a signal that aborts after ${ms} ms`,
        async (service: Service) => {
          const controller = new AbortController()
          const starting = service.start({ signal: controller.signal }).catch(() => undefined)
          if (ms > 0) await sleep(ms)
          controller.abort(new Error('asked to end'))
          await starting
          await service.stop()
        },
      ],
    ]),
  ),
}

describe('every service', function () {
  this.timeout(30_000)
  let world: World
  before(async () => {
    world = await startWorld()
  })
  after(() => world.close())

  for (const name of serviceNames) {
    describe(`the ${name} leaves nothing open when it is`, () => {
      before(async () => {
        // Once unwatched: what belongs to all services, as the connections to Redis, stays open.
        const { service, closeSession } = world.create(name)
        await service.start({ signal: never })
        await service.stop()
        closeSession()
      })

      for (const [order, inOrder] of Object.entries(orders)) {
        it(order, async () => {
          const before = new Set(await world.shared())
          const resources = watchOpenResources()
          const left = async () => [
            ...resources.left(),
            ...(await world.shared()).filter((thing) => !before.has(thing)),
          ]
          try {
            const { service, closeSession } = world.create(name)
            await resources.watch(() => inOrder(service))
            closeSession()
            const giveUpAt = performance.now() + SETTLE_MS
            let open = await left()
            while (open.length > 0 && performance.now() < giveUpAt) {
              await sleep(20)
              open = await left()
            }
            expect(open).to.deep.equal([])
          } finally {
            resources.close()
          }
        })
      }
    })
  }

  for (const name of workingServiceNames) {
    it(`waits for the work under way before it has ended: the ${name}`, async () => {
      const { service, closeSession } = world.create(name)
      await service.start({ signal: never })
      let isOver = false
      const end = () => {
        isOver = true
      }

      service.beginWork?.().then(end, end)
      await service.stop()
      closeSession()

      expect(isOver).to.equal(true)
    })
  }
})
