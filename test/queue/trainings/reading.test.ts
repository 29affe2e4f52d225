import { expect } from 'chai'
import type { TrainingRecord } from '../../../src/queue/trainings/training-record.js'
import { isWaiting } from '../../../src/queue/trainings/waiting.js'
import { rejection } from '../../helpers/rejection.js'
import { seatA, seatB } from '../orders.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { accepted, type Kept, keepTrainings } from './kept.js'

const HOSTILE = ['', '*', '[', '../x', 'no/such#1', 'a\u0000', '{loopfleet}', 'A'.repeat(10_000)]

describe(`trainings: reading`, () => {
  let redis: RedisFixture
  let kept: Kept
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    kept = keepTrainings(redis)
  })

  it('finds one by id, by the beginning of an id and by name', async () => {
    const training = await accepted(kept)

    expect(await kept.trainings.find(training.id)).to.deep.equal(training)
    expect(await kept.trainings.find(training.id.slice(0, 5))).to.deep.equal(training)
    expect(await kept.trainings.find('zauberzeug/shapes#1')).to.deep.equal(training)
  })

  it('refuses the beginning of several', async () => {
    await redis.link.client.zadd(kept.keys.ids, 0, 'abc1', 0, 'abc2')

    expect(await rejection(kept.trainings.find('abc'))).to.include({ code: 'LF_TRAINING_AMBIGUOUS' })
  })

  for (const hostile of HOSTILE)
    it(`knows none called ${JSON.stringify(hostile.slice(0, 12))}`, async () => {
      await accepted(kept)

      expect(await kept.trainings.find(hostile)).to.equal(undefined)
    })

  it('lists page by page, the newest first', async () => {
    const one = await accepted(kept, { trainingNumber: 1 })
    await kept.finish(one.id, 'completed')
    const two = await accepted(kept, { trainingNumber: 2 })

    const idsOf = (records: readonly TrainingRecord[]) => records.map(({ id }) => id)
    expect(idsOf(await kept.trainings.list())).to.have.members([two.id, one.id])
    expect(idsOf(await kept.trainings.list({ unfinishedOnly: true }))).to.deep.equal([two.id])
    expect(await kept.trainings.list({ limit: 1, offset: 1 })).to.have.lengthOf(1)
    expect(await kept.trainings.count()).to.equal(2)
    expect(await kept.trainings.count({ unfinishedOnly: true })).to.equal(1)
  })

  it('counts by trainer those that wait for a host', async () => {
    const one = await accepted(kept, { trainingNumber: 1 })
    await accepted(kept, { trainingNumber: 2 }, seatB)
    expect(await kept.trainings.countWaiting()).to.deep.equal({ shapes: 2 })

    await kept.take(one.id, 'host-a')

    expect(await kept.trainings.countWaiting()).to.deep.equal({ shapes: 1 })
    expect((await kept.trainings.list()).filter(isWaiting)).to.have.lengthOf(1)
  })

  it('passes over a broken record in a list, and is refused it by name', async () => {
    const one = await accepted(kept, { trainingNumber: 1 })
    const two = await accepted(kept, { trainingNumber: 2 }, seatB)
    await redis.link.client.hset(kept.keys.record(one.id), 'run', '"many"')

    expect((await kept.trainings.list()).map(({ id }) => id)).to.deep.equal([two.id])
    expect(await rejection(kept.trainings.load(one.id))).to.include({ code: 'LF_RECORD_INVALID' })
  })

  it('compares a run with the one in Redis: the same, a newer one, or lost', async () => {
    const { id } = await accepted(kept)
    const run = await kept.take(id, 'host-a')
    const { compareRun } = kept.trainings

    expect(await compareRun(id, run, 'host-a')).to.deep.equal({ state: 'same', found: 1 })
    expect(await compareRun(id, run, 'host-b')).to.deep.equal({ state: 'lost', found: 1 })
    expect(await compareRun(id, run - 1)).to.deep.equal({ state: 'newer', found: 1 })
    expect(await compareRun(id, run + 1)).to.deep.equal({ state: 'lost', found: 1 })
    expect(await compareRun('nobody', 1)).to.deep.equal({ state: 'lost', found: null })
    await kept.finish(id, 'completed')
    expect(await compareRun(id, run)).to.deep.equal({ state: 'newer', found: 1 })
  })

  it('frees the seat of a training that has ended, which keeps its end', async () => {
    const { id } = await accepted(kept)

    await kept.finish(id, 'failed', { prepare: 'no images' })

    expect(await kept.trainings.load(id)).to.deep.include({ outcome: 'failed', errors: { prepare: 'no images' } })
    expect(await kept.trainings.unfinishedOfSeat(seatA.uuid)).to.equal(undefined)
    expect(await kept.trainings.list({ unfinishedOnly: true })).to.deep.equal([])
  })
})
