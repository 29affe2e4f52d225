import { expect } from 'chai'
import { createJournal, type Journal, type TrainingRecord } from '../../src/queue/journal.js'
import { rejection } from '../helpers/rejection.js'
import { anOrder, hostA, hostB, seatA } from './orders.js'
import { type RedisFixture, startRedisFixture } from './redis-fixture.js'

describe('the journal', () => {
  let redis: RedisFixture
  let journal: Journal
  before(async () => {
    redis = await startRedisFixture()
    journal = createJournal(redis.link)
  })
  after(() => redis.close())
  afterEach(() => redis.link.client.flushall())

  async function accepted(change = {}, seat = seatA): Promise<TrainingRecord> {
    const answer = await journal.accept({ order: anOrder(change), trainer: 'shapes', seat })
    if (answer.outcome === 'refused') throw new Error(answer.reason)
    return answer.training
  }

  describe('fences runs', () => {
    it('by numbers that only rise', async () => {
      const { id } = await accepted()

      expect(await journal.beginRun(id, hostA)).to.equal(1)
      expect(await journal.beginRun(id, hostB)).to.equal(2)
      expect(await journal.load(id)).to.deep.include({ run: 2, hostId: 'host-b', workerPid: 22 })
    })

    it('and tells who takes one what earlier runs have left', async () => {
      const { id } = await accepted()
      expect(await journal.take(id, hostA)).to.deep.include({ run: 1 })
      await journal.finishStep(id, 1, 'download-data', { hostId: 'host-a', seconds: 1, result: null })

      const { run, before } = await journal.take(id, hostB)

      expect(run).to.equal(2)
      expect(before).to.deep.include({ id, run: 1, hostId: 'host-a' })
      expect(before.steps).to.have.keys('download-data')
    })

    it('so that an older run can write nothing any more', async () => {
      const { id } = await accepted()
      await journal.beginRun(id, hostA)
      await journal.beginRun(id, hostB)

      const step = { hostId: 'host-a', seconds: 1, result: null }
      for (const write of [
        journal.checkRun(id, 1),
        journal.update(id, 1, { state: 'running' }),
        journal.finishStep(id, 1, 'train', step),
        journal.finish(id, 1, { outcome: 'completed' }),
      ]) {
        expect(await rejection(write)).to.include({ code: 'LF_RUN_SUPERSEDED' })
      }
      expect(await journal.load(id)).to.deep.include({ state: 'initialized', endedAt: null, steps: {} })
    })

    it('and lets the newest go on', async () => {
      const { id } = await accepted()
      const run = await journal.beginRun(id, hostA)

      await journal.checkRun(id, run)
      await journal.update(id, run, { state: 'running', progress: 0.5 })
      await journal.finishStep(id, run, 'train', { hostId: 'host-a', seconds: 2, result: { epochs: 3 } })

      const record = await journal.load(id)
      expect(record).to.deep.include({ state: 'running', progress: 0.5 })
      expect(record?.steps.train).to.deep.include({ hostId: 'host-a', seconds: 2, result: { epochs: 3 } })
    })

    it('and writes what changes with a step in the moment in which it is done, and only then', async () => {
      const { id } = await accepted()
      const run = await journal.beginRun(id, hostA)
      await journal.update(id, run, { state: 'running', errors: { run_training: 'it died' } })
      const step = { hostId: 'host-a', seconds: 2, result: null }
      const change = { state: 'training_finished', progress: null, errors: {} } as const

      expect(await rejection(journal.finishStep(id, run - 1, 'train', step, { patch: change }))).to.include({
        code: 'LF_RUN_SUPERSEDED',
      })
      expect(await journal.load(id)).to.deep.include({ state: 'running', errors: { run_training: 'it died' } })

      await journal.finishStep(id, run, 'train', step, { patch: change })
      const record = await journal.load(id)
      expect(record).to.deep.include(change)
      expect(record?.steps.train).to.deep.include(step)
    })

    it('and with it how its job ends, where that is still there', async () => {
      const { id } = await accepted()
      const run = await journal.beginRun(id, hostA)
      const { client } = redis.link
      const step = { hostId: 'host-a', seconds: 2, result: null }
      const job = { key: 'q:a', progress: { progress: 1 }, lines: ['began', 'done'] }

      await journal.finishStep(id, run, 'download-data', step, { job })
      expect(await client.exists('q:a', 'q:a:logs')).to.equal(0)

      await client.hset('q:a', 'name', 'train')
      await rejection(journal.finishStep(id, run - 1, 'train', step, { job }))
      expect(await client.hgetall('q:a')).to.deep.equal({ name: 'train' })

      await journal.finishStep(id, run, 'train', step, { patch: { state: 'training_finished' }, job })
      await journal.finishStep(id, run, 'detect', step, { job: { key: 'q:a', lines: [] } })
      expect(await client.hgetall('q:a')).to.deep.equal({ name: 'train', progress: '{"progress":1}' })
      expect(await client.lrange('q:a:logs', 0, -1)).to.deep.equal(['began', 'done'])
      const record = await journal.load(id)
      expect(record).to.deep.include({ state: 'training_finished' })
      expect(record?.steps).to.have.keys('download-data', 'train', 'detect')
    })

    it('and lets no run touch a training that has ended', async () => {
      const { id } = await accepted()
      const run = await journal.beginRun(id, hostA)
      await journal.finish(id, null, { outcome: 'aborted' })

      expect(await rejection(journal.checkRun(id, run))).to.include({ code: 'LF_RUN_SUPERSEDED' })
      expect(await rejection(journal.update(id, run, { progress: 1 }))).to.include({ code: 'LF_RUN_SUPERSEDED' })
      expect(await rejection(journal.beginRun(id, hostB))).to.include({ code: 'LF_TRAINING_ENDED' })
    })

    it('and says so when there is no such training', async () => {
      for (const call of [
        journal.beginRun('nobody', hostA),
        journal.update('nobody', null, { progress: 1 }),
        journal.finish('nobody', null, { outcome: 'failed' }),
      ]) {
        expect(await rejection(call)).to.include({ code: 'LF_TRAINING_UNKNOWN' })
      }
      expect(await redis.link.client.keys('*nobody*')).to.deep.equal([])
    })

    for (const [what, lose] of [
      ['is missing', async (key: string) => void (await redis.link.client.del(key))],
      ['has a lower run', async (key: string) => void (await redis.link.client.hset(key, 'run', '1'))],
      [
        'has a lower run, and has ended',
        async (key: string) => {
          await redis.link.client.hset(key, 'run', '1', 'endedAt', '5')
        },
      ],
    ] as const) {
      it(`and writes nothing into a record that ${what}, which is not a newer run`, async () => {
        const { id } = await accepted()
        await journal.beginRun(id, hostA)
        const run = await journal.beginRun(id, hostA)
        await lose(`{loopfleet}:training:${id}`)
        const before = await redis.link.client.hgetall(`{loopfleet}:training:${id}`)

        const step = { hostId: 'host-a', seconds: 1, result: null }
        for (const write of [
          journal.checkRun(id, run),
          journal.update(id, run, { state: 'running' }),
          journal.finishStep(id, run, 'train', step),
          journal.excuseRun(id, run),
          journal.finish(id, run, { outcome: 'completed' }),
        ]) {
          expect(await rejection(write)).to.include({ code: 'LF_RECORD_LOST' })
        }
        expect(await redis.link.client.hgetall(`{loopfleet}:training:${id}`)).to.deep.equal(before)
      })
    }
  })

  it('merges models and facts key by key, whatever their names', async () => {
    const { id } = await accepted()

    await journal.update(id, null, { models: { onnx: { id: '', state: 'intent' } }, facts: { 'a:b': 1 } })
    await journal.update(id, null, {
      models: { 'x.y/z': { id: 'm2', state: 'confirmed' } },
      facts: { constructor: [2] },
    })
    await journal.update(id, null, { models: { onnx: { id: 'm1', hash: 'h', state: 'confirmed' } } })

    const record = await journal.load(id)
    expect(record?.models).to.deep.equal({
      onnx: { id: 'm1', hash: 'h', state: 'confirmed' },
      'x.y/z': { id: 'm2', state: 'confirmed' },
    })
    expect(record?.facts).to.deep.equal({ 'a:b': 1, constructor: [2] })
  })

  it('keeps the first end of a training', async () => {
    const { id } = await accepted()

    await journal.finish(id, null, { outcome: 'failed', errors: { prepare: 'no images' } })
    await journal.finish(id, null, { outcome: 'completed' })

    expect(await journal.load(id)).to.deep.include({ outcome: 'failed', errors: { prepare: 'no images' } })
  })

  it('counts the runs in a row that brought nothing, but not those handed back', async () => {
    const { id } = await accepted()
    const fruitless = async () => (await journal.load(id))?.fruitlessRuns

    await journal.beginRun(id, hostA)
    await journal.beginRun(id, hostB)
    expect(await fruitless()).to.equal(1)

    const third = await journal.beginRun(id, hostA)
    expect(await fruitless()).to.equal(2)
    await journal.excuseRun(id, third)

    const fourth = await journal.beginRun(id, hostB)
    expect(await fruitless()).to.equal(2)
    await journal.update(id, fourth, { best: { epoch: 3 } })
    await journal.excuseRun(id, fourth)

    await journal.beginRun(id, hostA)
    expect(await fruitless()).to.equal(0)
  })
})
