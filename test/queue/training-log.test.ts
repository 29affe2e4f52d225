import { expect } from 'chai'
import { createJournal, type Journal } from '../../src/queue/journal.js'
import { anOrder, seatA } from './orders.js'
import { type RedisFixture, startRedisFixture } from './redis-fixture.js'

describe('the log of a training', () => {
  let redis: RedisFixture
  let journal: Journal
  let id: string
  before(async () => {
    redis = await startRedisFixture()
    journal = createJournal(redis.link)
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    const answer = await journal.accept({ order: anOrder(), trainer: 'shapes', seat: seatA })
    id = answer.outcome === 'refused' ? '' : answer.training.id
  })

  it('is read page by page', async () => {
    for (const line of ['one\n', 'two\n', 'three\n']) await journal.appendLog(id, line)

    const [last] = await journal.readLog(id, { limit: 1 })
    const [first, second] = await journal.readLog(id, { from: '0-0', limit: 2 })
    const rest = await journal.readLog(id, { from: second?.cursor ?? '' })

    expect([last?.text, first?.text, second?.text]).to.deep.equal(['three\n', 'one\n', 'two\n'])
    expect(rest.map(({ text }) => text)).to.deep.equal(['three\n'])
  })

  it('is followed by another machine until the training ends', async () => {
    const other = await redis.another()
    await journal.appendLog(id, 'before\n')
    const heard: string[] = []
    const following = (async () => {
      for await (const text of createJournal(other.link).followLog(id, { signal: new AbortController().signal })) {
        heard.push(text)
        if (text === 'before\n') await journal.appendLog(id, 'while\n')
        if (text === 'while\n') {
          await journal.appendLog(id, 'last\n')
          await journal.finish(id, null, { outcome: 'completed' })
        }
      }
    })()

    await following

    expect(heard).to.deep.equal(['before\n', 'while\n', 'last\n'])
  })

  it('is followed no longer than somebody wants to', async () => {
    const enough = new AbortController()
    const following = (async () => {
      for await (const text of journal.followLog(id, { signal: enough.signal })) if (text === 'x') enough.abort()
    })()

    await journal.appendLog(id, 'x')
    await following
  })

  it('keeps its end when it grows over a megabyte', async () => {
    for (let index = 0; index < 40; index++) await journal.appendLog(id, `${index}:${'ä'.repeat(50_000)}`)

    const entries = await journal.readLog(id)
    const bytes = entries.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)

    expect(bytes).to.be.within(900_000, 1_048_576)
    expect(entries.at(-1)?.text).to.match(/ä$/)
    expect(await redis.link.client.memory('USAGE', `{loopfleet}:log:${id}`, 'SAMPLES', 0)).to.be.below(1_500_000)
  })

  it('takes one huge piece without losing its end', async () => {
    await journal.appendLog(id, `${'x'.repeat(5_000_000)}END`)

    const entries = await journal.readLog(id)

    expect(entries.at(-1)?.text.endsWith('END')).to.equal(true)
  })

  it('goes some days after the end', async () => {
    await journal.appendLog(id, 'x')
    await journal.finish(id, null, { outcome: 'completed' })

    expect(await redis.link.client.ttl(`{loopfleet}:log:${id}`)).to.be.within(604_000, 604_800)
  })
})
