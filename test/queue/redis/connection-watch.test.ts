import { expect } from 'chai'
import { z } from 'zod'
import { createLogger, silentLogger } from '../../../src/base/logger/logger.js'
import { createQueues } from '../../../src/queue/jobs/queues.js'
import { openRedis, type RedisLink } from '../../../src/queue/redis/open-redis.js'
import { until } from '../../helpers/until.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { type RedisGate, startRedisGate } from '../redis-gate.js'

// Three looks are longer than what BullMQ's blocking reads wait at a time.
const BLOCKING_LOOK_MS = 2_000
const LONG_MS = 25_000

describe('a connection to Redis', () => {
  let redis: RedisFixture
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())

  const stops: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop()
  })

  async function openGate(edit?: (answer: Buffer) => Buffer): Promise<RedisGate> {
    const gate = await startRedisGate(redis.server.url, edit)
    stops.push(() => gate.close())
    return gate
  }

  async function open(gate: RedisGate, { log = silentLogger(), lookMs = 100 } = {}): Promise<RedisLink> {
    const link = await openRedis(gate.url, { log }, { lookMs })
    stops.push(() => link.close())
    return link
  }

  it('whose handshake is never answered is created again when Redis answers others', async function () {
    this.timeout(60_000)
    let text = ''
    const gate = await openGate()
    const link = await open(gate, {
      log: createLogger({ destination: { write: (line: string) => (text += line) } }),
    })
    const heard: string[] = []
    await link.subscribe('watched', (message) => heard.push(message))
    const reader = link.duplicate()
    await reader.ping()

    gate.swallowNew(true)
    gate.cut()
    await until('all wait for an answer', () => [link.client, reader].every(({ status }) => status === 'connect'))
    expect(text).not.to.contain('silent') // nobody else is answered either
    gate.swallowNew(false)

    expect(await link.client.ping()).to.equal('PONG')
    expect(await reader.ping()).to.equal('PONG')
    await until('the subscription is back', async () => {
      await redis.link.client.publish('watched', 'x')
      return heard.length > 0
    })
    expect(text).to.contain('connections to Redis are silent; connecting again')
  })

  it('that falls silent while it is in use is created again, and what was asked is answered', async function () {
    this.timeout(60_000)
    const gate = await openGate()
    const link = await open(gate)
    const heard: string[] = []
    await link.subscribe('watched', (message) => heard.push(message))
    await link.client.ping()

    gate.silence()
    const answer = link.client.get('nothing')

    expect(await answer).to.equal(null)
    await until(
      'the subscription is back',
      async () => {
        await redis.link.client.publish('watched', 'x')
        return heard.length > 0
      },
      LONG_MS,
    )
  })

  it('lets jobs go on when all of its fleet fall silent', async function () {
    this.timeout(60_000)
    const gate = await openGate()
    const link = await open(gate, { lookMs: BLOCKING_LOOK_MS })
    const queues = createQueues(link, { log: silentLogger() })
    stops.push(() => queues.close())
    const schema = z.object({ n: z.number() })
    queues.consume('silent', async (job) => job.data.n, { schema })
    await queues.runJob('silent', 'x', { n: 1 }, { id: 'before' })

    gate.silence()

    expect(await queues.runJob('silent', 'x', { n: 2 }, { id: 'after' })).to.equal(2)
  })

  it('is left alone while it only waits for something', async () => {
    const link = await openRedis(redis.server.url, { log: silentLogger() }, { lookMs: 500 })
    stops.push(() => link.close())
    const reader = link.duplicate()
    let closes = 0
    for (const client of [link.client, reader]) client.on('close', () => closes++)

    await reader.bzpopmin('nothing-comes', 1)
    await reader.bzpopmin('nothing-comes', 1)

    expect(closes).to.equal(0)
  })

  it('is there immediately when Redis has read its file, however long it said that takes', async () => {
    let times = 0
    // As Redis says it when the clock strikes the second between the beginning and the first look.
    const gate = await openGate((answer) => {
      const text = answer.toString('latin1')
      if (!text.includes('\r\nloading:0\r\n') || times++ > 0) return answer
      const loading = text.replace('loading:0', 'loading:1').replace('process_supervised:no', 'loading_eta_seconds:9')
      return Buffer.from(loading, 'latin1')
    })

    const link = await openRedis(gate.url, { log: silentLogger() }, { connectTimeoutMs: 8_000 })
    await link.close()

    expect(times).to.be.above(1)
  })

  it('is closed although Redis hangs', async function () {
    this.timeout(60_000)
    const gate = await openGate()
    const link = await openRedis(gate.url, { log: silentLogger() })
    gate.silence()
    gate.swallowNew(true)
    await link.close()
  })
})
