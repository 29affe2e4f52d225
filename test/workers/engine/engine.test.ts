import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { PROTOCOL } from '../../../src/queue/records/protocol.js'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import { createRecords, type Records } from '../../../src/queue/records/records.js'
import { openRedis, type RedisLink } from '../../../src/queue/redis/open-redis.js'
import { createEngine, type Engine } from '../../../src/workers/engine/engine.js'
import { type Run, toWork } from '../../../src/workers/engine/pipeline.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { startOwnRedis } from '../../queue/own-redis.js'
import { createSample, type SamplePayload, sampleTraining } from '../../queue/records/sample-records.js'
import { type RedisFixture, startRedisFixture } from '../../queue/redis-fixture.js'
import { startRedisGate } from '../../queue/redis-gate.js'

const log = silentLogger()
const signal = new AbortController().signal
const LEASE_MS = 1_000

type HostOptions = {
  readonly hostId?: string
  readonly most?: number
  readonly protocol?: number
  readonly leaseMs?: number
  readonly mayClaim?: () => boolean
  /** What a run does; by default it waits until the test ends it. */
  readonly work?: (run: Run<SamplePayload>) => Promise<void>
}

/** A host with one pipeline, whose runs are the test's. */
type Host = {
  readonly engine: Engine
  readonly runs: Run<SamplePayload>[]
  run(index?: number): Promise<Run<SamplePayload>>
}

describe('the engine', () => {
  let redis: RedisFixture
  let records: Records<SamplePayload>
  const folder = useTemporaryFolder()
  const closers: (() => Promise<unknown>)[] = []
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    records = createRecords(redis.link, sampleTraining)
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  async function startHost(options: HostOptions = {}, link: RedisLink = redis.link): Promise<Host> {
    const { hostId = 'a', most = 1, protocol = PROTOCOL, leaseMs = LEASE_MS } = options
    const runs: Run<SamplePayload>[] = []
    let underWay = 0
    const work = toWork({
      kind: 'training',
      records: createRecords(link, sampleTraining, { protocol }),
      names: () => ['yolo'],
      free: () => most - underWay,
      async carryOut(run: Run<SamplePayload>) {
        runs.push(run)
        underWay += 1
        try {
          await (options.work ?? untilEnded)(run)
        } finally {
          underWay -= 1
        }
      },
    })
    const engine = createEngine(
      { hostId, leaseMs, protocol },
      {
        link,
        works: [work],
        slots: () => 1,
        mayClaim: async () => options.mayClaim?.() ?? true,
        others: async () => [],
        restoreEnds: async () => undefined,
        log,
      },
    )
    closers.push(() => engine.stop())
    await engine.start({ signal })
    return {
      engine,
      runs,
      run: (index = 0) => until(`run ${index} of ${hostId} has begun`, () => runs[index]),
    }
  }

  it('claims the oldest first, no more than it has places for, and the next when one is free', async () => {
    for (const id of ['t1', 't2', 't3']) await createSample(records, id)
    const host = await startHost({ most: 2 })
    const first = await host.run()
    await host.run(1)
    expect(host.runs.map(({ record }) => record.id)).to.deep.equal(['t1', 't2'])
    expect((await records.waiting(['yolo'])).records.map(({ id }) => id)).to.deep.equal(['t3'])

    await first.finish('completed')
    end(first)

    expect((await host.run(2)).record.id).to.equal('t3')
  })

  it('claims a record as soon as there is one, long before its next renewal', async () => {
    const host = await startHost({ leaseMs: 30_000 })

    await createSample(records, 't1')

    expect((await host.run()).claim.run).to.equal(1)
  })

  it('asks a run to stop, and ends it for an abort, as soon as that is wanted', async () => {
    await createSample(records, 't1')
    const host = await startHost({ leaseMs: 30_000, work: (run) => untilEnded(run).then(() => run.finish('aborted')) })
    const run = await host.run()

    expect(await records.intend('t1', 'stop', 'loop')).to.equal('asked')
    await until('it is asked to stop', () => run.stopSignal.aborted)
    expect(run.signal.aborted).to.equal(false)
    await records.intend('t1', 'abort', 'cli')
    await until('it has ended', async () => (await records.load('t1'))?.outcome === 'aborted')
    expect(run.signal.reason).to.include({ code: 'LF_TRAINING_ABORTED' })
  })

  it('ends a run whose record Redis has lost as soon as that is wanted, long before its next renewal', async () => {
    await createSample(records, 't1')
    const host = await startHost({ leaseMs: 60_000, work: untilEnded })
    const run = await host.run()
    const { record, changes } = recordKeys(redis.link)
    expect(await redis.link.client.del(record('t1'))).to.equal(1)
    expect(await redis.link.client.exists(changes)).to.equal(1)

    await records.intendLost('t1', 'stop', 'loop')
    await until('it is asked to stop', () => run.stopSignal.aborted, 5_000)
    await records.intendLost('t1', 'abort', 'loop')

    await until('its program has ended', () => run.signal.aborted, 5_000)
    expect(run.signal.reason).to.include({ code: 'LF_TRAINING_ABORTED' })
  })

  it('passes a further stop on, once, also if its renewal repeats it', async () => {
    await createSample(records, 't1')
    const host = await startHost({ leaseMs: 300 })
    const run = await host.run()
    let further = 0
    run.onStopAgain(() => {
      further += 1
    })
    await records.intend('t1', 'stop', 'loop')
    await until('it is asked to stop', () => run.stopSignal.aborted)

    await records.intend('t1', 'stop', 'loop')
    await until('it is asked again', () => further === 1)
    const renewedAt = async () => Number(await redis.link.client.hget('{loopfleet}:records:clock', 'time'))
    const before = await renewedAt()
    await until('it has renewed twice', async () => (await renewedAt()) > before + 150)

    expect(further).to.equal(1)
  })

  it('ends a run with the first step for an abort that came before it was claimed', async () => {
    await createSample(records, 't1')
    expect(await records.intend('t1', 'abort', 'cli')).to.equal('asked')

    const host = await startHost({ work: (run) => untilEnded(run).then(() => run.finish('aborted')) })

    expect((await host.run()).signal.reason).to.include({ code: 'LF_TRAINING_ABORTED' })
    await until('it has ended', async () => (await records.load('t1'))?.outcome === 'aborted')
  })

  it('hands its records back when it ends, so that another host has them immediately', async () => {
    await createSample(records, 't1')
    const one = await startHost()
    const run = await one.run()

    await one.engine.stop()

    expect(run.signal.reason).to.include({ code: 'LF_WORKER_SHUTDOWN' })
    expect(await records.load('t1')).to.include({ life: 'waiting', use: 'excused' })
    const other = await startHost({ hostId: 'b' })
    expect(await other.run()).to.include({ fruitlessRuns: 0 })
  })

  it('takes back what an earlier life of its host has left, without waiting for the lease', async () => {
    await createSample(records, 't1')
    const link = await openRedis(redis.server.url, { log })
    const killed = await startHost({ leaseMs: 30_000 }, link)
    await killed.run()
    await link.close() // from now on nobody hears of it

    const next = await startHost({ leaseMs: 30_000 })

    expect(await next.run()).to.deep.include({ fruitlessRuns: 1, claim: { ...(await next.run()).claim, run: 2 } })
  })

  it('leaves a run that another host has taken over: its program ends when its host learns of it, not before', async () => {
    await createSample(records, 't1')
    const gate = await startRedisGate(redis.server.url)
    const link = await openRedis(gate.url, { log })
    closers.push(
      () => gate.close(),
      () => link.close(),
    )
    const cutOff = await startHost({}, link)
    const old = await cutOff.run()
    gate.swallowNew(true)
    gate.cut()

    const other = await startHost({ hostId: 'b' })
    const current = await other.run()
    expect(current.claim.run).to.equal(2)
    expect(old.signal.aborted, 'the host that is cut off keeps its program').to.equal(false)

    const late = rejection(old.check()) // asked while it is cut off
    gate.swallowNew(false)
    gate.cut()
    await until('the older run ends', () => old.signal.aborted)
    expect(old.signal.reason).to.include({ code: 'LF_RUN_SUPERSEDED' })
    expect(await late).to.include({ code: 'LF_RUN_SUPERSEDED' })
    await current.finish('completed')
    expect(current.signal.aborted).to.equal(false)
    end(current)
  })

  it('ends no run while Redis is unreachable or comes back empty, and refuses its effects without a record', async () => {
    const own = await startOwnRedis(folder.path, '--appendfsync', 'always')
    const link = await openRedis(own.url, { log })
    closers.push(
      () => own.close(),
      () => link.close(),
    )
    const there = createRecords(link, sampleTraining)
    await createSample(there, 't1')
    const host = await startHost({ leaseMs: 600 }, link)
    const run = await host.run()

    await own.kill()
    await own.start()
    await run.update({ progress: 0.5 })
    await own.kill()
    await own.start(`${folder.path}/empty`)
    expect(await rejection(run.check())).to.include({ code: 'LF_RECORD_LOST' })
    expect(run.signal.aborted).to.equal(false)

    // The same record made again is none of a newer run until somebody claims it, which this host does when it is free.
    await createSample(there, 't1')
    await until('it renews', async () => (await link.client.hget('{loopfleet}:records:clock', 'time')) !== null)
    expect(await rejection(run.check())).to.include({ code: 'LF_RECORD_LOST' })
    expect(run.signal.aborted).to.equal(false)
    end(run)
    expect((await host.run(1)).claim.run).to.equal(1)
  })

  it('leaves a record of a newer protocol to a host that can read it', async () => {
    await createRecords(redis.link, sampleTraining, { protocol: PROTOCOL + 1 }).create({
      ...{ id: 't1', name: 'yolo', payload: { order: 'o', progress: null, steps: {} } },
    })
    await createSample(records, 't2')

    const older = await startHost({ hostId: 'old', protocol: PROTOCOL, most: 5 })
    await older.run()
    const newer = await startHost({ hostId: 'new', protocol: PROTOCOL + 1 })

    expect((await newer.run()).record.id).to.equal('t1')
    expect(older.runs.map(({ record }) => record.id)).to.deep.equal(['t2'])
  })

  it('does not take over what a host of a newer protocol has written, after that one is gone', async () => {
    await createSample(records, 't1')
    const link = await openRedis(redis.server.url, { log })
    const newer = await startHost({ hostId: 'new', protocol: PROTOCOL + 1 }, link)
    await newer.run()
    await createSample(records, 't2')
    await link.close()

    const older = await startHost({ hostId: 'old', protocol: PROTOCOL, most: 5 })
    await older.run()
    const waits = async () => (await redis.link.client.hget('{loopfleet}:records:record:t1', 'life')) === 'waiting'
    await until('its lease has run out', waits)

    const another = await startHost({ hostId: 'new2', protocol: PROTOCOL + 1, most: 5 })
    expect((await another.run()).record.id).to.equal('t1')
    expect(older.runs.map(({ record }) => record.id)).to.deep.equal(['t2'])
  })

  it('claims what is behind a record that it cannot read', async () => {
    for (const id of ['t1', 't2']) await createSample(records, id)
    await redis.link.client.hset('{loopfleet}:records:record:t1', 'data:order', '17')

    const host = await startHost({ leaseMs: 30_000 })

    expect((await host.run()).record.id).to.equal('t2')
  })

  it('offers a record that was handed back with a pause again after it', async () => {
    await createSample(records, 't1')
    let releases = 0
    const host = await startHost({
      leaseMs: 30_000,
      work: (run) => {
        releases += 1
        return releases === 1 ? run.release({ pauseMs: 300, patch: { progress: 0.1 } }) : untilEnded(run)
      },
    })

    const second = await host.run(1)

    expect(second.record.payload.progress).to.equal(0.1)
    expect(second.record.updatedAt - (host.runs[0]?.record.updatedAt ?? 0)).to.be.least(300)
  })

  it('hands back a run that ends in a way that nobody has foreseen, and claims nothing while its host drains', async () => {
    let isDraining = true
    await createSample(records, 't1')
    const host = await startHost({
      mayClaim: () => !isDraining,
      work: () => Promise.reject(new Error('unforeseen')),
    })
    await until('it has renewed', async () => (await redis.link.client.zcard('{loopfleet}:records:hosts')) === 1)
    expect(host.runs).to.deep.equal([])

    isDraining = false
    host.engine.wake()
    await host.run()
    await until('it waits again', async () => (await records.load('t1'))?.life === 'waiting')
    expect(await records.countWaiting()).to.deep.equal({ yolo: 1 })
  })
})

const ends = new WeakMap<Run<SamplePayload>, () => void>()

/** Ends what `untilEnded` waits for. */
function end(run: Run<SamplePayload>): void {
  ends.get(run)?.()
}

async function untilEnded(run: Run<SamplePayload>): Promise<void> {
  await new Promise<void>((resolve) => {
    ends.set(run, resolve)
    if (run.signal.aborted) resolve()
    run.signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
