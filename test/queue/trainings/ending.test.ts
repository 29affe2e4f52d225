import { expect } from 'chai'
import { rejection } from '../../helpers/rejection.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { accepted, type Kept, keepTrainings } from './kept.js'

describe(`trainings: a request to end`, () => {
  let redis: RedisFixture
  let kept: Kept
  let id: string
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    kept = keepTrainings(redis)
    id = (await accepted(kept)).id
  })

  for (const kind of ['stop', 'abort'] as const)
    it(`ends a training that waits for a host immediately: ${kind}`, async () => {
      await kept.trainings.appendLog(id, 'x')

      expect(await kept.trainings.request(id, kind, 'test')).to.equal('ended')

      expect(await kept.trainings.load(id)).to.include({ outcome: 'aborted' })
      expect(await kept.trainings.request(id, kind, 'test')).to.equal('ended-before')
      expect(await redis.link.client.ttl(kept.keys.log(id))).to.be.within(604_000, 604_800)
    })

  it('leaves a stop to a host when a training that was handed back has a model', async () => {
    await kept.take(id, 'host-a')
    await kept.update(id, { best: { epoch: 1 } })
    await kept.handBack(id)

    expect(await kept.trainings.request(id, 'stop', 'test')).to.equal('asked')
    expect(await kept.trainings.load(id)).to.include({ endedAt: null, stopRequested: true })

    expect(await kept.trainings.request(id, 'abort', 'test')).to.equal('ended')
    expect(await kept.trainings.load(id)).to.include({ outcome: 'aborted' })
  })

  it('is an error when there is no such training, and comes late when it has ended', async () => {
    expect(await rejection(kept.trainings.request('nobody', 'stop', 'test'))).to.include({
      code: 'LF_TRAINING_UNKNOWN',
    })
    await kept.finish(id, 'completed')

    expect(await kept.trainings.request(id, 'abort', 'test')).to.equal('ended-before')
    expect(await kept.trainings.load(id)).to.include({ outcome: 'completed' })
  })
})
