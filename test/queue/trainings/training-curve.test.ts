import { expect } from 'chai'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { type PlayedTrainings, playTrainings } from './kept.js'

describe('the curve of a training', () => {
  let redis: RedisFixture
  let trainings: PlayedTrainings
  before(async () => {
    redis = await startRedisFixture()
    trainings = playTrainings(redis)
  })
  after(() => redis.close())
  beforeEach(() => redis.link.client.flushall())

  it('is read by epoch, and the last word about an epoch counts', async () => {
    await trainings.addPoints('a', [{ epoch: 10, values: { loss: 0.5 } }])
    await trainings.addPoints('a', [{ epoch: 9, values: { loss: 0.7, __proto__x: 1 } }])
    await trainings.addPoints('a', [{ epoch: 10, values: { loss: 0.4 } }])
    await trainings.addPoints('b', [{ epoch: 1, values: { loss: 9 } }])

    expect(await trainings.readCurve('a')).to.deep.equal([
      { epoch: 9, values: { loss: 0.7, __proto__x: 1 } },
      { epoch: 10, values: { loss: 0.4 } },
    ])
    expect(await trainings.readCurve('never')).to.deep.equal([])
  })

  it('keeps its shape in bounded memory, however long the training', async () => {
    const all = Array.from({ length: 5000 }, (_, epoch) => ({ epoch, values: { loss: 1 / (epoch + 1) } }))
    await trainings.addPoints('a', all.slice(0, 1))
    await trainings.addPoints('a', all.slice(1))

    const points = await trainings.readCurve('a')

    expect(points).to.have.lengthOf.within(1000, 2000)
    expect(points[0]).to.deep.equal({ epoch: 0, values: { loss: 1 } })
    expect(points.at(-1)?.epoch).to.equal(4999)
    const gaps = points.slice(1).map((point, index) => point.epoch - (points[index]?.epoch ?? 0))
    expect(Math.max(...gaps), 'widest gap').to.be.below(10)
  })

  it('leaves out what is no point, and takes only so many names', async () => {
    await redis.link.client.hset(`${redis.link.prefix}:curve:a`, { x: '{}', 3: 'no json', 4: '{"loss":"high"}' })
    const values = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`m${index}`, index]))
    await trainings.addPoints('a', [{ epoch: 5, values }])

    const points = await trainings.readCurve('a')

    expect(points.map(({ epoch }) => epoch)).to.deep.equal([5])
    expect(Object.keys(points[0]?.values ?? {})).to.have.lengthOf(40)
  })
})
