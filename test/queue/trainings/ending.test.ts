import { expect } from 'chai'
import { shownOutcome } from '../../../src/queue/trainings/waiting.js'
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

  async function ending(which: string) {
    const training = await kept.trainings.load(which)
    if (training === undefined) throw new Error(`${which} is gone`)
    return training
  }

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

  for (const [what, kind, outcome, shown] of [
    ['that was stopped and kept its model was stopped', 'stop', 'completed', 'stopped'],
    ['that was stopped and failed then has failed', 'stop', 'failed', 'failed'],
    ['that completed although it was to be aborted is completed', 'abort', 'completed', 'completed'],
  ] as const)
    it(`is shown after the end: one ${what}`, async () => {
      await kept.take(id, 'host-a')
      await kept.update(id, { best: { epoch: 1 } })
      await kept.trainings.request(id, kind, 'test')

      await kept.finish(id, outcome)

      const ended = await ending(id)
      expect(ended.outcome).to.equal(outcome)
      expect(shownOutcome(ended)).to.equal(shown)
    })

  it('is forgotten by a retry, but not that the program was stopped', async () => {
    await kept.take(id, 'host-a')
    await kept.update(id, { best: { epoch: 1 } })
    await kept.trainings.request(id, 'stop', 'test')
    await kept.finishStep(id, { stopped: true })
    await kept.finish(id, 'failed')

    await kept.trainings.retry(id)
    expect(await ending(id)).to.include({ stopRequested: false })
    await kept.take(id, 'host-b')
    await kept.finish(id, 'completed')

    expect(shownOutcome(await ending(id))).to.equal('stopped')
  })

  it('that came when all was done changes nothing that is shown', async () => {
    await kept.take(id, 'host-a')
    await kept.update(id, { best: { epoch: 1 } })
    await kept.finishStep(id, { stopped: false })
    await kept.finishStep(id, {}, 'upload-detections')
    await kept.trainings.request(id, 'stop', 'test')

    await kept.finish(id, 'completed')

    expect(shownOutcome(await ending(id))).to.equal('completed')
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
