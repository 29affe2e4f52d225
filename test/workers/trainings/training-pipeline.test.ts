import { expect } from 'chai'
import { LoopfleetError } from '../../../src/base/errors.js'
import { createSlots } from '../../../src/executors/gpu/slots.js'
import { stages } from '../../../src/queue/jobs/names.js'
import { until } from '../../helpers/until.js'
import { seatA, seatB } from '../../queue/orders.js'
import { useHosts } from './a-host.js'

const isAway = () => Promise.reject(new LoopfleetError('LF_TEST', 'The Loop is away.', { failure: 'transient' }))

describe('the pipeline of trainings', () => {
  const fleet = useHosts()
  const { aHost, begins } = fleet

  it('takes a training through all its stages, ends it as completed, and gives its place back', async () => {
    const host = await aHost({
      stages: {
        detect: async ({ say }) => {
          say('ten images')
          return {}
        },
      },
    })
    const id = await fleet.of.order()

    await fleet.of.ended(id)
    await until('it has left', () => host.pipeline.active.length === 0)

    expect([...host.begun].sort()).to.deep.equal([...stages].sort())
    expect(host.begun.at(-1)).to.equal('cleanup')
    const done = await fleet.of.record(id)
    const ended = { outcome: 'completed', run: 1, hostId: 'host-a', workerPid: 1, state: 'ready_for_cleanup' }
    expect(done).to.deep.include({ ...ended, errors: {} })
    expect(Object.keys(done.steps).sort()).to.deep.equal([...stages].sort())
    expect(await fleet.of.trainings.unfinishedOfSeat(seatA.uuid)).to.equal(undefined)
    await until('the place is free', () => host.places.free === 1)
    expect(host.pipeline.held()).to.deep.equal([])
    expect(await fleet.redis.link.client.ttl(`{loopfleet}:records:log:${id}`)).to.be.above(0)
  })

  it('makes each step a job on the queue of its kind of work, with progress and log', async () => {
    await aHost({
      stages: {
        detect: async ({ say, progress }) => {
          progress({ progress: 0.5, message: 'half' })
          say('ten images')
          return {}
        },
      },
    })
    const id = await fleet.of.order()
    await fleet.of.ended(id)

    const [job] = await fleet.redis.queues.jobs('host-a.detect', ['completed'])
    expect(job?.data).to.deep.equal({ id, run: 1, step: 'detect' })
    expect(job?.id).to.match(new RegExp(`^${id}\\.1\\.detect\\.`))
    expect(job?.progress).to.include({ progress: 1, message: 'half', attempt: 1 })
    const log = (await fleet.redis.queues.logs('host-a.detect', job?.id ?? '')).join('\n').split('\n')
    expect(log[0]).to.equal('detect started on host-a, run 1, attempt 1')
    expect(log).to.include('ten images')
    expect(log.at(-1)).to.match(/^detect done in /)
  })

  it('leaves a training to others while it has no place free', async () => {
    const host = await aHost({ places: 0 })
    const id = await fleet.of.order()

    const other = await aHost({ hostId: 'host-b' })
    await fleet.of.ended(id)

    expect(host.begun).to.deep.equal([])
    expect(other.begun).to.include('train')
  })

  it('fails a training whose stage fails for good, shows the cause, and goes on from there when it is retried', async () => {
    let isBroken = true
    const host = await aHost({
      stages: {
        'upload-model': async () => {
          if (isBroken) throw new LoopfleetError('LF_TEST', 'The Loop wants no such model.', { failure: 'fatal' })
          return {}
        },
      },
    })
    const id = await fleet.of.order()
    await fleet.of.ended(id)
    const failed = await fleet.of.record(id)
    expect(failed).to.deep.include({ outcome: 'failed', errors: { upload_model: 'The Loop wants no such model.' } })
    expect(failed.facts.failure).to.deep.include({ stage: 'upload-model', code: 'LF_TEST', attempt: 1 })
    expect(host.begun).not.to.include('cleanup')

    isBroken = false
    expect(await fleet.of.trainings.retry(id)).to.include({ outcome: 'reopened' })
    await fleet.of.ended(id)

    expect(await fleet.of.record(id)).to.deep.include({ outcome: 'completed', errors: {} })
    // Nothing lies on the disk of this test, so only what the record alone decides is passed over.
    expect(host.begun.filter((stage) => stage === 'download-model')).to.have.lengthOf(1)
    expect(host.begun.filter((stage) => stage === 'upload-model')).to.have.lengthOf(2)
  })

  it('fails a training that this host cannot run, so that its seat is free again', async () => {
    await aHost({ isUnknown: true })
    const id = await fleet.of.order()

    await fleet.of.ended(id)

    const failed = await fleet.of.record(id)
    expect(failed.outcome).to.equal('failed')
    expect(Object.values(failed.errors).join()).to.include('no trainer "quick"')
    expect(failed.facts.failure).to.include({ code: 'LF_UNKNOWN_TRAINER' })
    expect(await fleet.of.trainings.unfinishedOfSeat(seatA.uuid)).to.equal(undefined)
  })

  it('gives a training back when the GPUs of its host become unreadable while it waits for one, at no cost to it', async () => {
    const slots = createSlots({ gpus: [0] })
    await slots.acquire(1, { signal: new AbortController().signal }) // another training has it
    const broken = await aHost({ slots })
    const id = await fleet.of.order()
    await until('it waits for the GPU', async () => (await fleet.of.record(id)).state === 'train_model_downloaded')

    slots.setOffer({ state: 'unreadable', reason: 'driver mismatch' })
    await until('it is given back', () => broken.pipeline.active.length === 0)
    await broken.shutDown()
    expect(await fleet.of.record(id)).to.include({ endedAt: null, fruitlessRuns: 0 })
    await aHost({ hostId: 'host-b' })
    await fleet.of.ended(id)

    expect(await fleet.of.record(id)).to.include({ outcome: 'completed', hostId: 'host-b' })
  })

  it('works on another training while one waits for the Loop, which has its place back later', async () => {
    let isLoopAway = true
    const host = await aHost({
      ...{ places: 1, lendPlaceAfterMs: 50 },
      stages: {
        'upload-model': ({ training }) =>
          isLoopAway && training.order.trainingNumber === 1 ? isAway() : Promise.resolve({}),
      },
    })
    const first = await fleet.of.order()
    await begins(host, 'upload-model')
    const second = await fleet.of.order({ trainingNumber: 2 }, seatB)
    await fleet.of.ended(second)
    expect(await fleet.of.record(first)).to.include({ endedAt: null })
    expect(host.places.lent).to.equal(1)

    isLoopAway = false
    await fleet.of.ended(first)

    expect(await fleet.of.record(first)).to.deep.include({ outcome: 'completed', errors: {} })
  })
})
