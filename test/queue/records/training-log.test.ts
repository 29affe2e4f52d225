import { expect } from 'chai'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import { anOrder, seatA } from '../orders.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { type PlayedTrainings, playTrainings } from '../trainings/kept.js'

describe('the log of a training', () => {
  let redis: RedisFixture
  let trainings: PlayedTrainings
  let id: string
  before(async () => {
    redis = await startRedisFixture()
    trainings = playTrainings(redis)
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    const answer = await trainings.accept({ order: anOrder(), trainer: 'shapes', seat: seatA })
    id = answer.outcome === 'refused' ? '' : answer.training.id
  })

  it('is read page by page', async () => {
    for (const line of ['one\n', 'two\n', 'three\n']) await trainings.appendLog(id, line)

    const [last] = await trainings.readLog(id, { limit: 1 })
    const [first, second] = await trainings.readLog(id, { from: '0-0', limit: 2 })
    const rest = await trainings.readLog(id, { from: second?.cursor ?? '' })

    expect([last?.text, first?.text, second?.text]).to.deep.equal(['three\n', 'one\n', 'two\n'])
    expect(rest.map(({ text }) => text)).to.deep.equal(['three\n'])
  })

  it('is followed by another machine until the training ends', async () => {
    const other = await redis.another()
    await trainings.appendLog(id, 'before\n')
    const heard: string[] = []
    const following = (async () => {
      for await (const text of playTrainings(other).followLog(id, { signal: new AbortController().signal })) {
        heard.push(text)
        if (text === 'before\n') await trainings.appendLog(id, 'while\n')
        if (text === 'while\n') {
          await trainings.appendLog(id, 'last\n')
          await trainings.finish(id, null, { outcome: 'completed' })
        }
      }
    })()

    await following

    expect(heard).to.deep.equal(['before\n', 'while\n', 'last\n'])
  })

  it('is followed no longer than somebody wants to', async () => {
    const enough = new AbortController()
    const following = (async () => {
      for await (const text of trainings.followLog(id, { signal: enough.signal })) if (text === 'x') enough.abort()
    })()

    await trainings.appendLog(id, 'x')
    await following
  })

  it('keeps its end when it grows over a megabyte', async () => {
    for (let index = 0; index < 40; index++) await trainings.appendLog(id, `${index}:${'ä'.repeat(50_000)}`)

    const entries = await trainings.readLog(id)
    const bytes = entries.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)

    expect(bytes).to.be.within(900_000, 1_048_576)
    expect(entries.at(-1)?.text).to.match(/ä$/)
    expect(await redis.link.client.memory('USAGE', recordKeys(redis.link).log(id), 'SAMPLES', 0)).to.be.below(1_500_000)
  })

  it('takes one huge piece without losing its end', async () => {
    await trainings.appendLog(id, `${'x'.repeat(5_000_000)}END`)

    const entries = await trainings.readLog(id)

    expect(entries.at(-1)?.text.endsWith('END')).to.equal(true)
  })

  it('goes some days after the end', async () => {
    await trainings.appendLog(id, 'x')
    await trainings.finish(id, null, { outcome: 'completed' })

    expect(await redis.link.client.ttl(recordKeys(redis.link).log(id))).to.be.within(604_000, 604_800)
  })
})
