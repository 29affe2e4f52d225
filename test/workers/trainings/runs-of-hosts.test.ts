import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createSlots } from '../../../src/executors/gpu/slots.js'
import { createQueues } from '../../../src/queue/jobs/queues.js'
import { openRedis } from '../../../src/queue/redis/open-redis.js'
import { until } from '../../helpers/until.js'
import { startRedisGate } from '../../queue/redis-gate.js'
import { aPromise } from '../a-training.js'
import { untilEnded, useHosts } from './a-host.js'

describe('the pipeline of trainings, on several hosts,', () => {
  const fleet = useHosts()
  const { aHost, begins, closers } = fleet

  it('hands its trainings back when the worker ends, at no cost to them', async () => {
    const host = await aHost({ stages: { train: untilEnded } })
    const id = await fleet.of.order()
    await begins(host, 'train')

    await host.shutDown()

    expect(await fleet.of.record(id)).to.deep.include({ endedAt: null, errors: {}, state: 'running' })
    expect(await fleet.of.trainings.records.load(id)).to.include({ life: 'waiting', use: 'useful' }) // its data is there
    const next = await aHost({ hostId: 'host-b' })
    await fleet.of.ended(id)
    expect(await fleet.of.record(id)).to.include({ outcome: 'completed', run: 2, hostId: 'host-b', fruitlessRuns: 0 })
    expect(next.begun).to.include('train')
  })

  it('leaves a training to a host with a free GPU, and takes one more itself when all are taken', async () => {
    const gpu = { places: 2, definition: { gpus: 1 }, stages: { train: untilEnded } }
    const hosts = [
      await aHost({ ...gpu, slots: createSlots({ gpus: [0] }) }),
      await aHost({ ...gpu, slots: createSlots({ gpus: [0] }), hostId: 'host-b' }),
    ]
    const trains = () => hosts.map(({ begun }) => begun.filter((stage) => stage === 'train').length)
    const claimed = () => hosts.map(({ pipeline }) => pipeline.active.length)
    const order = (trainingNumber: number) => {
      const uuid = `0b0e4c7a-6a3e-4b0a-9a55-0d5c7d4c1c0${trainingNumber}`
      return fleet.of.order({ trainingNumber }, { uuid, name: `Seat ${trainingNumber}` })
    }

    for (const number of [1, 2]) await order(number)
    await until('both train', () => String(trains()) === '1,1')
    expect(claimed()).to.deep.equal([1, 1])

    for (const number of [3, 4, 5]) await order(number)
    await until('each has one more', () => String(claimed()) === '2,2')
    expect(trains()).to.deep.equal([1, 1])
    expect((await fleet.of.trainings.records.waiting(['quick'])).records).to.have.lengthOf(1)
  })

  it('ends a cleaning up with the worker, and the training keeps its outcome', async () => {
    const host = await aHost({ stages: { cleanup: untilEnded } })
    const id = await fleet.of.order()
    await begins(host, 'cleanup')

    await host.shutDown()

    expect(await fleet.of.record(id)).to.include({ outcome: 'completed', run: 1 })
  })

  it('ends the programs of earlier runs before it begins its own, and none for the first run', async () => {
    const first = await fleet.of.order()
    const host = await aHost()
    await fleet.of.ended(first)
    expect(host.swept).to.deep.equal([])
    await host.shutDown()

    const second = await fleet.of.order({ trainingNumber: 2 })
    await fleet.of.dies(second)
    const next = await aHost()
    await fleet.of.ended(second)

    expect(next.swept).to.deep.equal([second])
  })

  it('takes over when the lease of another host has run out, which touches nothing any more', async () => {
    const gate = await startRedisGate(fleet.redis.server.url)
    const link = await openRedis(gate.url, { log: silentLogger() })
    const queues = createQueues(link, { log: silentLogger() })
    closers.push(
      () => gate.close(),
      () => link.close(),
      () => queues.close(),
    )
    const done = aPromise()
    const upload = () => done.promise.then(() => ({ by: 'the older run' }))
    const cutOff = await aHost({ leaseMs: 1_000, stages: { 'upload-model': upload } }, { ...fleet.redis, link, queues })
    const id = await fleet.of.order()
    await begins(cutOff, 'upload-model')
    gate.swallowNew(true)
    gate.cut()

    const other = await aHost({ hostId: 'host-b', leaseMs: 1_000, stages: { 'upload-model': untilEnded } })
    await begins(other, 'upload-model')
    expect(cutOff.pipeline.active, 'the host that is cut off keeps its run').to.have.lengthOf(1)
    done.resolve()
    gate.swallowNew(false)
    gate.cut()
    await until('the older run has left', () => cutOff.pipeline.active.length === 0)

    const { steps, ...record } = await fleet.of.record(id)
    expect(record).to.deep.include({ endedAt: null, outcome: null, run: 2, hostId: 'host-b', errors: {} })
    expect(steps['upload-model']).to.equal(undefined)
    expect(cutOff.begun).not.to.include('cleanup')
  })

  for (const [runs, outcome] of [
    [4, 'completed'],
    [5, 'failed'],
  ] as const) {
    it(`lets a training end as ${outcome} after ${runs} runs in a row that brought nothing`, async () => {
      const id = await fleet.of.order()
      for (let run = 1; run <= runs; run += 1) await fleet.of.dies(id)

      const host = await aHost()
      await fleet.of.ended(id)

      const record = await fleet.of.record(id)
      expect(record).to.include({ outcome, run: runs + 1 })
      expect(host.begun.length > 0).to.equal(outcome === 'completed')
      if (outcome === 'failed') expect(Object.values(record.errors).join()).to.include('five times in a row')
    })
  }
})
