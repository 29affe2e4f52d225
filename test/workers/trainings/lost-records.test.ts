import { expect } from 'chai'
import { createLeases } from '../../../src/queue/records/leases.js'
import { until } from '../../helpers/until.js'
import { aPromise } from '../a-training.js'
import { type Host, untilEnded, useHosts } from './a-host.js'

describe('the pipeline of trainings, of which Redis has lost something,', () => {
  const fleet = useHosts()
  const { aHost, begins } = fleet

  it('shows how far it is as soon as Redis has its claim again, which it had lost', async () => {
    const host = await aHost({ leaseMs: 1_000, stages: { train: untilEnded } })
    const id = await fleet.of.order()
    await begins(host, 'train')
    await until('it is shown', async () => (await fleet.of.record(id)).state === 'running')
    const record = `{loopfleet}:records:record:${id}`
    const before = { life: 'waiting', run: '0', host: '', incarnation: '', 'data:state': '"initialized"' }

    await fleet.redis.link.client.hset(record, before)
    await fleet.redis.link.client.zrem('{loopfleet}:records:leases', id)

    await until('the claim is restored', async () => (await fleet.of.record(id)).run === 1)
    await until('it is shown again', async () => (await fleet.of.record(id)).state === 'running', 1_000)
    expect(host.pipeline.active).to.have.lengthOf(1)
  })

  describe('when Redis has lost its end', () => {
    /** Everything as it is now, to come back to as a Redis does that has lost its last writes. */
    async function snapshot(): Promise<() => Promise<void>> {
      const { client } = fleet.redis.link
      const names = await client.keys('{loopfleet}:records:*')
      const dumps = await Promise.all(names.map(async (name) => [name, await client.dumpBuffer(name)] as const))
      return async () => {
        await client.del(...(await client.keys('{loopfleet}:records:*')))
        for (const [name, dump] of dumps) if (dump !== null) await client.restore(name, 0, dump)
      }
    }

    async function completed(): Promise<{ id: string; host: Host; loseTheEnd: () => Promise<void> }> {
      let lose: () => Promise<void> = async () => undefined
      const host = await aHost({
        stages: {
          cleanup: async () => {
            lose = await snapshot()
            return {}
          },
        },
      })
      const id = await fleet.of.order()
      await fleet.of.ended(id)
      await until('it has left', () => host.pipeline.active.length === 0)
      return { id, host, loseTheEnd: () => lose() }
    }

    it('its host writes the end again as soon as Redis is back, and trains nothing again', async () => {
      const { id, host, loseTheEnd } = await completed()
      const { length } = host.begun

      await loseTheEnd()
      expect(await fleet.of.record(id)).to.include({ endedAt: null, life: 'claimed' })
      fleet.redis.link.client.disconnect(true)
      await fleet.of.ended(id)

      expect(await fleet.of.record(id)).to.include({ outcome: 'completed', run: 1, hostId: 'host-a' })
      expect(host.begun).to.have.lengthOf(length)
    })

    it('its host writes the end again when its worker starts', async () => {
      const { id, host, loseTheEnd } = await completed()
      await host.shutDown()
      await loseTheEnd()

      const next = await aHost()
      await fleet.of.ended(id)

      expect(await fleet.of.record(id)).to.include({ outcome: 'completed', run: 1 })
      expect(next.begun).to.deep.equal([])
    })

    it('a later run of another host is left alone', async () => {
      const { id, host, loseTheEnd } = await completed()
      await host.shutDown()
      await loseTheEnd()
      await createLeases(fleet.redis.link, { host: 'host-a', incarnation: 'next', leaseMs: 30_000 }).takeBack()
      await fleet.of.dies(id)

      // Its steps are done, so a run of it comes to the cleaning up, which each run does.
      const later = await aHost({ stages: { cleanup: untilEnded } })
      await begins(later, 'cleanup')

      expect(await fleet.of.record(id)).to.include({ endedAt: null, run: 3 })
    })
  })

  describe('when Redis has lost its record', () => {
    const keyOf = (id: string) => `{loopfleet}:records:record:${id}`

    it('ends nothing, and completes the training if the record comes back meanwhile', async () => {
      const gate = aPromise()
      const host = await aHost({ leaseMs: 600, stages: { train: () => gate.promise.then(() => ({ stopped: false })) } })
      const id = await fleet.of.order()
      await begins(host, 'train')
      await until('its state is noted', async () => (await fleet.of.record(id)).state === 'running')
      const copy = await fleet.redis.link.client.dumpBuffer(keyOf(id))

      await fleet.redis.link.client.del(keyOf(id))
      const [held] = host.pipeline.held()
      expect(await held?.compare()).to.deep.equal({ state: 'lost', found: null })
      const renewedAt = async () => Number(await fleet.redis.link.client.hget('{loopfleet}:records:clock', 'time'))
      const before = await renewedAt()
      await until('it has renewed without it', async () => (await renewedAt()) > before + 200)
      expect(host.pipeline.active[0]?.stopSwitch.endSignal.aborted).to.equal(false)
      await fleet.redis.link.client.restore(keyOf(id), 0, copy ?? Buffer.alloc(0))
      gate.resolve()
      await fleet.of.ended(id)

      expect(await fleet.of.record(id)).to.include({ outcome: 'completed', run: 1 })
    })

    it('leaves the training as it is if the record is still missing at the end', async () => {
      const gate = aPromise()
      const host = await aHost({ stages: { 'upload-model': () => gate.promise.then(() => ({})) } })
      const id = await fleet.of.order()
      await begins(host, 'upload-model')

      await fleet.redis.link.client.del(keyOf(id))
      gate.resolve()
      await until('it has left', () => host.pipeline.active.length === 0)

      expect(host.begun).not.to.include('cleanup')
      expect(await fleet.of.trainings.load(id)).to.equal(undefined)
      expect(host.places.free).to.equal(1)
    })

    it('ends the training for an abort of its seat', async () => {
      const host = await aHost({ stages: { train: untilEnded } })
      const id = await fleet.of.order()
      await begins(host, 'train')
      await fleet.redis.link.client.del(keyOf(id))

      await fleet.of.trainings.requestWithoutRecord(id, 'abort', 'test')
      await until('it has left', () => host.pipeline.active.length === 0)

      expect(host.begun).not.to.include('cleanup') // without its record nothing is deleted
    })
  })
})
