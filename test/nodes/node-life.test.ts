import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createNodeHttp } from '../../src/nodes/node-http.js'
import { until } from '../helpers/until.js'
import { UUID_A, UUID_B, useSeats } from './seats-fixture.js'

describe('a trainer node', () => {
  const seats = useSeats()
  /** Whether it is over by now, after all that was under way. */
  const isOver = (over: Promise<string>) => Promise.race([over, sleep(150).then(() => false as const)])

  describe('that restarts after a training', () => {
    it('is over when its training has ended and the Loop was told', async () => {
      const { over } = await seats.startNode({ restartAfterTraining: true })
      await seats.order()
      const { id } = await seats.unfinished()
      expect(await isOver(over)).to.equal(false)

      await seats.trainings.finish(id, null, { outcome: 'failed', errors: { run_training: 'it died' } })

      expect(await over).to.equal('a training has ended')
      const [farewell, idle] = (seats.shown()?.history ?? []).slice(-2)
      expect(farewell).to.deep.include({ state: 'ready_for_cleanup', errors: { run_training: 'it died' } })
      expect(idle?.state).to.equal('idle')
    })

    it('waits for the trainings of its other seats', async () => {
      const { over } = await seats.startNode({ seats: 2, restartAfterTraining: true })
      await seats.order({ trainer: UUID_A })
      await seats.order({ trainer: UUID_B })
      const [a, b] = [await seats.unfinished(UUID_A), await seats.unfinished(UUID_B)]

      await seats.trainings.finish(a.id, null, { outcome: 'completed' })
      await seats.settled('idle')
      expect(await isOver(over)).to.equal(false)
      await seats.trainings.finish(b.id, null, { outcome: 'completed' })

      expect(await over).to.equal('a training has ended')
    })

    it('is not over because it is idle', async () => {
      const { over } = await seats.startNode({ restartAfterTraining: true, heartbeatMs: 20 })

      expect(await isOver(over)).to.equal(false)
    })
  })

  describe('with an idle time-out', () => {
    it('is over when all its seats were idle for so long', async () => {
      const { over } = await seats.startNode({ seats: 2, idleTimeoutMs: 50 })

      expect(await over).to.equal('all seats were idle')
    })

    it('is not over while a seat has a training, and begins to count again after it', async () => {
      const { over } = await seats.startNode({ seats: 2, idleTimeoutMs: 1500 })
      await seats.order({ trainer: UUID_B })
      const { id } = await seats.unfinished(UUID_B)

      expect(await Promise.race([over, sleep(2000)])).to.equal(undefined)
      const endedAt = performance.now()
      await seats.trainings.finish(id, null, { outcome: 'completed' })

      await over
      expect(performance.now() - endedAt).to.be.at.least(1400)
    })
  })

  describe('with a backdoor', () => {
    it('aborts what it trains on reset, and speaks when it is told to', async () => {
      const node = await seats.startNode({ seats: 2 })
      const http = createNodeHttp(
        { setOnline: node.setOnline, setDebugLogging: () => undefined, backdoor: node },
        { log: silentLogger() },
      )
      const post = (url: string) => http.inject({ method: 'POST', url })
      await seats.order({ trainer: UUID_B })
      const { id } = await seats.unfinished(UUID_B)

      const reset = await post('/reset')
      expect([reset.statusCode, reset.json()]).to.deep.equal([200, null])
      expect((await seats.trainings.load(id))?.outcome).to.equal('aborted')
      await until('both are idle', () => [UUID_A, UUID_B].every((uuid) => seats.shown(uuid)?.state === 'idle'))

      const before = seats.shown()?.lastSeen ?? 0
      expect((await post('/force_status_update')).json()).to.equal(null)
      await until('it has spoken', () => (seats.shown()?.lastSeen ?? 0) > before)
      await http.close()
    })
  })

  describe('that starts muted', () => {
    it('tells changes alone until it is switched on', async () => {
      const node = await seats.startNode({ muted: true, heartbeatMs: 20 })
      const heard = seats.shown()?.lastSeen ?? 0
      await sleep(200)
      expect(seats.shown()?.lastSeen).to.equal(heard)

      await seats.order()
      await seats.settled('initialized')
      const http = createNodeHttp(
        { setOnline: node.setOnline, setDebugLogging: () => undefined },
        { log: silentLogger() },
      )
      await http.inject({ method: 'PUT', url: '/socketio', payload: Buffer.from('on') })
      const before = seats.shown()?.lastSeen ?? 0

      await until('it is heard again and again', () => (seats.shown()?.lastSeen ?? 0) > before)
      await http.close()
    })
  })
})
