import { expect } from 'chai'
import { rejection } from '../../helpers/rejection.js'
import { anOrder, seatA, seatB } from '../orders.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { accepted, type Kept, keepTrainings } from './kept.js'

describe(`trainings: a retry`, () => {
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

  async function failed(change = {}, seat = seatA) {
    const training = await accepted(kept, change, seat)
    await kept.finish(training.id, 'failed', { upload_model: 'refused' })
    return training
  }

  it('lets a failed training go on from the step that failed', async () => {
    const { id } = await accepted(kept)
    const run = await kept.take(id, 'host-a')
    await kept.finishStep(id)
    await kept.finish(id, 'failed', { upload_model: 'refused' })

    const answer = await kept.trainings.retry(id)

    expect(answer).to.have.property('outcome', 'reopened')
    const record = await kept.trainings.load(id)
    expect(record).to.deep.include({ outcome: null, endedAt: null, errors: {}, fruitlessRuns: 0 })
    expect(record?.steps).to.have.property('train')
    expect((await kept.trainings.unfinishedOfSeat(seatA.uuid))?.id).to.equal(id)
    expect(await kept.take(id, 'host-b')).to.be.above(run)
  })

  it('makes the Loop wait for another end', async () => {
    const { id } = await failed()
    for (const ended of await kept.trainings.unackedEndsOfSeat(seatA.uuid)) await kept.trainings.ackEnd(ended)

    await kept.trainings.retry(id)
    expect(await kept.trainings.unackedEndsOfSeat(seatA.uuid)).to.deep.equal([])
    await kept.finish(id, 'completed')

    expect(await kept.trainings.unackedEndsOfSeat(seatA.uuid)).to.have.lengthOf(1)
    const again = await kept.trainings.accept({ order: anOrder(), trainer: 'shapes', seat: seatA })
    expect(again).to.include({ outcome: 'same' })
  })

  it('keeps the log of the training', async () => {
    const { id } = await accepted(kept)
    await kept.trainings.appendLog(id, 'x')
    await kept.finish(id, 'failed')
    expect(await redis.link.client.ttl(kept.keys.log(id))).to.be.within(604_000, 604_800)

    await kept.trainings.retry(id)

    expect(await redis.link.client.ttl(kept.keys.log(id))).to.equal(-1)
  })

  it('is refused for what has not ended, has not failed, or whose seat is busy', async () => {
    const first = await accepted(kept)
    expect(await kept.trainings.retry(first.id)).to.deep.equal({
      outcome: 'refused',
      reason: `Training ${first.id} (zauberzeug/shapes#1) has not ended.`,
    })
    await kept.finish(first.id, 'failed')
    const second = await accepted(kept, { trainingNumber: 2 })

    expect(await kept.trainings.retry(first.id)).to.deep.equal({
      outcome: 'refused',
      reason: `Trainer "Trainer A" is busy with training zauberzeug/shapes#2 (${second.id}).`,
    })
    await kept.finish(second.id, 'completed')
    expect(await kept.trainings.retry(second.id)).to.deep.equal({
      outcome: 'refused',
      reason: `Training ${second.id} (zauberzeug/shapes#2) was completed; only a failed one can be retried.`,
    })
  })

  it('is refused when the number was ordered again, at whatever seat', async () => {
    const first = await failed()
    const second = await accepted(kept, {}, seatB)

    expect(await kept.trainings.retry(first.id)).to.deep.equal({
      outcome: 'refused',
      reason: `Training ${first.id} (zauberzeug/shapes#1) was ordered again as ${second.id}.`,
    })
  })

  for (const outcome of ['completed', 'failed', 'aborted'] as const)
    it(`is refused when the seat has had another training since, which was ${outcome}`, async () => {
      const first = await failed()
      const second = await accepted(kept, { trainingNumber: 2 })
      await kept.finish(second.id, outcome)

      const answer = await kept.trainings.retry(first.id)

      expect(answer).to.have.property('outcome', 'refused')
      expect(answer).to.have.property('reason').that.includes(`has had zauberzeug/shapes#2 (${second.id}) since`)
      expect(await kept.trainings.load(first.id)).to.include({ outcome: 'failed' })
      expect(await kept.trainings.load(second.id)).to.include({ outcome })
    })

  it('is accepted when only another seat has had a training since', async () => {
    const first = await failed()
    const other = await accepted(kept, { trainingNumber: 2 }, seatB)
    await kept.finish(other.id, 'completed')

    expect(await kept.trainings.retry(first.id)).to.have.property('outcome', 'reopened')
  })

  it('of a training that does not exist is an error, and makes none', async () => {
    expect(await rejection(kept.trainings.retry('nobody'))).to.include({ code: 'LF_TRAINING_UNKNOWN' })

    expect(await redis.link.client.keys('*nobody*')).to.deep.equal([])
  })
})
