import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger.js'
import { createNodeHttp } from '../../src/nodes/node-http.js'
import { createFleet } from '../../src/queue/fleet.js'
import { until } from '../helpers/until.js'
import { hostA } from '../queue/orders.js'
import { UUID_A, UUID_B, useSeats } from './seats-fixture.js'

describe('a seat', () => {
  const seats = useSeats()
  const historyOf = (uuid = UUID_A) => seats.shown(uuid)?.history ?? []

  describe('tells the Loop how it is', () => {
    it('progress and errors too', async () => {
      await seats.startNode()
      await seats.order()
      const { id } = await seats.unfinished()
      const run = await seats.journal.beginRun(id, hostA)

      await seats.journal.update(id, run, { state: 'running', progress: 0.25, errors: { run_training: 'it died' } })

      await until(
        'both are seen',
        () => seats.shown()?.progress === 0.25 && seats.shown()?.errors.run_training === 'it died',
      )
    })

    it('on every connect', async () => {
      await seats.startNode()
      const before = seats.shown()?.lastSeen ?? 0

      seats.loop.dropSockets()
      await until('it is away', () => seats.shown()?.connected === false)
      await until(
        'it is back and has spoken',
        () => seats.shown()?.connected === true && (seats.shown()?.lastSeen ?? 0) > before,
      )

      expect(seats.shown()?.state).to.equal('idle')
    })

    it('what has changed while the connection was lost', async () => {
      await seats.startNode()
      await seats.order()
      const { id } = await seats.unfinished()
      seats.loop.addFault({ match: { event: 'connect' }, kind: 'refuse', times: 2 })
      seats.loop.dropSockets()
      await until('it is away', () => seats.shown()?.connected === false)

      await seats.journal.update(id, await seats.journal.beginRun(id, hostA), { state: 'running' })

      await seats.settled('running')
    })

    it('from time to time, also when nothing changes', async () => {
      await seats.startNode({ heartbeatMs: 50 })
      const before = seats.shown()?.lastSeen ?? 0

      await until('it was heard again', () => (seats.shown()?.lastSeen ?? 0) > before)
    })

    it('nothing of the trainings of others, and at once of its own that was retried', async () => {
      await seats.startNode({ seats: 2 })
      await seats.order({ trainer: UUID_A })
      const { id } = await seats.unfinished()
      const run = await seats.journal.beginRun(id, hostA)
      await seats.settled('initialized')
      const heardOfB = seats.shown(UUID_B)?.lastSeen

      for (let step = 1; step <= 5; step += 1)
        await seats.journal.update(id, run, { state: 'running', progress: step / 5 })
      await until('the last change is seen', () => seats.shown()?.progress === 1)
      expect(seats.shown(UUID_B)?.lastSeen).to.equal(heardOfB)

      await seats.journal.finish(id, run, { outcome: 'failed', errors: { run_training: 'it died' } })
      await seats.settled('idle')
      await seats.journal.reopen(id)
      await seats.settled('running')
    })

    it('that it is idle when its training has ended', async () => {
      await seats.startNode()
      await seats.order()
      const { id } = await seats.unfinished()

      await seats.journal.finish(id, null, { outcome: 'completed' })

      await seats.settled('idle')
      expect(historyOf().some(({ errors }) => Object.keys(errors).length > 0)).to.equal(false)
    })

    it('that the errors it has told of are gone when its training is completed', async () => {
      await seats.startNode()
      await seats.order()
      const { id } = await seats.unfinished()
      const run = await seats.journal.beginRun(id, hostA)
      await seats.journal.update(id, run, { state: 'detected', errors: { detecting: 'no memory' } })
      await seats.settled('detected')

      await seats.journal.finish(id, run, { outcome: 'completed', errors: {} })

      await seats.settled('idle')
      const last = historyOf().slice(-2)
      expect(last.map(({ state, errors }) => ({ state, errors }))).to.deep.equal([
        { state: 'ready_for_cleanup', errors: {} },
        { state: 'idle', errors: {} },
      ])
    })

    it('why its training failed, once, and then that it is idle', async () => {
      await seats.startNode()
      await seats.order()
      const { id } = await seats.unfinished()
      const run = await seats.journal.beginRun(id, hostA)

      await seats.journal.finish(id, run, {
        outcome: 'failed',
        errors: { run_training: 'The trainer exited with code 3.' },
      })

      await seats.settled('idle')
      const last = historyOf().slice(-2)
      expect(last.map(({ state, errors }) => ({ state, errors }))).to.deep.equal([
        { state: 'ready_for_cleanup', errors: { run_training: 'The trainer exited with code 3.' } },
        { state: 'idle', errors: {} },
      ])
    })

    it('why its training failed when the Loop is back, if it was away', async () => {
      await seats.startNode()
      await seats.order()
      const { id } = await seats.unfinished()
      const run = await seats.journal.beginRun(id, hostA)
      const outage = seats.loop.addFault({ match: { event: 'connect' }, kind: 'refuse' })
      seats.loop.dropSockets()
      await until('it is away', () => seats.shown()?.connected === false)

      await seats.journal.finish(id, run, { outcome: 'failed', errors: { run_training: 'it died' } })
      await until('it has noticed', async () => (await seats.journal.load(id))?.outcome === 'failed')
      seats.loop.clearFaults(outage.id)

      await seats.settled('idle')
      expect(historyOf().map(({ errors }) => errors)).to.deep.include({ run_training: 'it died' })
    })

    it('its state in the words of dialect 0.8 when it speaks that', async () => {
      await seats.startNode({ dialect: '0.8' })
      await seats.order()
      const { id } = await seats.unfinished()

      await seats.journal.update(id, await seats.journal.beginRun(id, hostA), { state: 'confusion_matrix_syncing' })

      await seats.settled('confusion_matrix_syncing')
      expect(seats.shown()?.dialect).to.equal('0.8')
    })
  })

  describe('whose status is not taken', () => {
    it('connects anew when it is refused', async () => {
      await seats.startNode({ heartbeatMs: 200 })
      const socket = seats.shown()?.socketId
      seats.loop.addFault({ match: { event: 'update_trainer' }, kind: 'status', body: 'not like this', times: 1 })

      await until(
        'it is there with another socket',
        () => seats.shown()?.socketId !== socket && seats.shown()?.connected === true,
      )
    })

    it('connects anew when it is not answered', async () => {
      await seats.startNode({ heartbeatMs: 100, statusAckMs: 150 })
      const socket = seats.shown()?.socketId
      seats.loop.addFault({ match: { event: 'update_trainer' }, kind: 'refuse', times: 1 })

      await until(
        'it is there with another socket',
        () => seats.shown()?.socketId !== socket && seats.shown()?.connected === true,
      )
    })

    it('does not storm a Loop that refuses whatever it says', async () => {
      await seats.startNode({ heartbeatMs: 150 })
      const fault = seats.loop.addFault({ match: { event: 'update_trainer' }, kind: 'status', body: 'never' })
      const startedAt = performance.now()
      const refusals = async () => {
        const answer: unknown = await (await fetch(`${seats.loop.url}/api/local/faults`)).json()
        const { faults } = answer as { faults: { id: number; done: number }[] }
        return faults.find(({ id }) => id === fault.id)?.done ?? 0
      }
      await until('it was refused a few times', async () => (await refusals()) >= 4)

      // Two per heartbeat: the heartbeat's own, and the one on the new connection.
      const beats = (performance.now() - startedAt) / 150
      expect(await refusals()).to.be.at.most(2 * Math.ceil(beats) + 2)
    })
  })

  describe('switched by its REST endpoint', () => {
    it('leaves the Loop on off and comes back on on', async () => {
      const node = await seats.startNode()
      const http = createNodeHttp(
        { setOnline: node.setOnline, setDebugLogging: () => undefined },
        { log: silentLogger() },
      )
      const put = (payload: string) => http.inject({ method: 'PUT', url: '/socketio', payload: Buffer.from(payload) })

      expect((await put('off')).json()).to.equal('off')
      await until('it is away', () => seats.shown()?.connected === false)

      expect((await put('on')).json()).to.equal('on')
      await until('it is back', () => seats.shown()?.connected === true && seats.shown()?.state === 'idle')
      expect((await seats.order()).ack.success).to.equal(true)
      await http.close()
    })

    it('stays as it is when told twice', async () => {
      const node = await seats.startNode()
      const socket = seats.shown()?.socketId

      await node.setOnline(true)
      expect(seats.shown()).to.include({ socketId: socket, connected: true })

      await node.setOnline(false)
      await node.setOnline(false)
      await node.setOnline(true)
      await until('it is back', () => seats.shown()?.connected === true)
    })

    it('keeps away from the Loop while it is off, whatever happens', async () => {
      const node = await seats.startNode({ heartbeatMs: 20 })
      await seats.order()
      const { id } = await seats.unfinished()
      await node.setOnline(false)
      await until('it is away', () => seats.shown()?.connected === false)
      const heard = seats.shown()?.lastSeen

      await seats.journal.update(id, await seats.journal.beginRun(id, hostA), { state: 'running' })
      await seats.journal.update(id, null, { progress: 0.5 })

      expect(seats.shown()).to.include({ connected: false, lastSeen: heard })
      await node.setOnline(true)
      await seats.settled('running')
    })
  })

  it('is listed in the fleet', async () => {
    await seats.startNode({ seats: 2 })

    const nodesOfFleet = await createFleet(seats.redis.link).nodes()

    expect(nodesOfFleet.map(({ uuid, name, type, trainer }) => ({ uuid, name, type, trainer }))).to.have.deep.members([
      { uuid: UUID_A, name: 'Seat A', type: 'trainer', trainer: 'quick' },
      { uuid: UUID_B, name: 'Seat B', type: 'trainer', trainer: 'quick' },
    ])
  })
})
