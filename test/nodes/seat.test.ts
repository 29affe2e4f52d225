import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createNodeHttp } from '../../src/nodes/node-http.js'
import { createFleet } from '../../src/queue/fleet/fleet.js'
import { until } from '../helpers/until.js'
import { hostA } from '../queue/orders.js'
import { UUID_A, UUID_B, useSeats } from './seats-fixture.js'

describe('a seat', () => {
  const seats = useSeats()

  describe('whose status is not taken', () => {
    it('connects again when it is refused', async () => {
      await seats.startNode({ heartbeatMs: 200 })
      const socket = seats.shown()?.socketId
      seats.loop.addFault({ match: { event: 'update_trainer' }, kind: 'status', body: 'not like this', times: 1 })

      await until(
        'it is there with another socket',
        () => seats.shown()?.socketId !== socket && seats.shown()?.connected === true,
      )
    })

    it('connects again when it is not answered', async () => {
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

      await seats.trainings.update(id, await seats.trainings.beginRun(id, hostA), { state: 'running' })
      await seats.trainings.update(id, null, { progress: 0.5 })

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
