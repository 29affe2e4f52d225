import { expect } from 'chai'
import { createJournal, type Journal, type TrainingRecord } from '../../src/queue/journal.js'
import { rejection } from '../helpers/rejection.js'
import { until } from '../helpers/until.js'
import { anOrder, hostA, hostB, seatA, seatB } from './orders.js'
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

  describe('takes orders', () => {
    it('and writes them down whole', async () => {
      const training = await accepted()

      expect(training.id).to.match(/^[a-z][0-9a-z]{11}$/)
      expect(training).to.deep.include({
        trainer: 'shapes',
        seat: seatA,
        order: anOrder(),
        run: 0,
        state: 'initialized',
      })
      expect(await journal.load(training.id)).to.deep.equal(training)
      expect(await journal.unfinishedOfSeat(seatA.uuid)).to.deep.equal(training)
    })

    it('and knows the same order on the same seat while it is unfinished', async () => {
      const training = await accepted()

      const again = await journal.accept({ order: anOrder(), trainer: 'shapes', seat: seatA })

      expect(again).to.deep.equal({ outcome: 'same', training })
    })

    it('a hundred times at once and makes one training of them', async () => {
      const order = { order: anOrder(), trainer: 'shapes', seat: seatA }

      const answers = await Promise.all(Array.from({ length: 100 }, () => journal.accept(order)))

      expect(answers.filter(({ outcome }) => outcome === 'accepted')).to.have.lengthOf(1)
      expect(answers.filter(({ outcome }) => outcome === 'same')).to.have.lengthOf(99)
      expect(await journal.count()).to.equal(1)
    })

    it('and refuses another one on a busy seat, naming what it is busy with', async () => {
      const training = await accepted()

      const answer = await journal.accept({ order: anOrder({ trainingNumber: 2 }), trainer: 'shapes', seat: seatA })

      expect(answer).to.deep.equal({
        outcome: 'refused',
        reason: `Trainer "Trainer A" is busy with training zauberzeug/shapes#1 (${training.id}).`,
      })
    })

    it('and refuses an unfinished one on another seat, naming its holder', async () => {
      const training = await accepted()

      const answer = await journal.accept({ order: anOrder(), trainer: 'shapes', seat: seatB })

      expect(answer).to.deep.equal({
        outcome: 'refused',
        reason: `Training zauberzeug/shapes#1 is already at trainer "Trainer A" (seat-a) as ${training.id}.`,
      })
    })

    it('and knows an exact repetition until the Loop has acknowledged its end', async () => {
      const training = await accepted()
      await journal.finish(training.id, null, { outcome: 'completed' })

      const again = await journal.accept({ order: anOrder(), trainer: 'shapes', seat: seatA })
      const changed = await journal.accept({ order: anOrder({ modelVariant: 'big' }), trainer: 'shapes', seat: seatA })

      expect(again).to.deep.include({ outcome: 'same' })
      expect(changed).to.deep.include({ outcome: 'accepted' })
    })

    it('and takes the same number anew when the Loop has acknowledged its end', async () => {
      const training = await accepted()
      await journal.finish(training.id, null, { outcome: 'completed' })
      for (const ended of await journal.unackedEndsOfSeat(seatA.uuid)) await journal.ackEnd(ended)

      const again = await journal.accept({ order: anOrder(), trainer: 'shapes', seat: seatA })

      expect(again).to.have.property('outcome', 'accepted')
      expect(await journal.find('zauberzeug/shapes#1')).to.have.property('run', 0)
      expect(await journal.count()).to.equal(2)
    })
  })

  describe('finds trainings', () => {
    it('by id, by the beginning of an id and by name', async () => {
      const training = await accepted()

      expect(await journal.find(training.id)).to.deep.equal(training)
      expect(await journal.find(training.id.slice(0, 5))).to.deep.equal(training)
      expect(await journal.find('zauberzeug/shapes#1')).to.deep.equal(training)
    })

    it('and refuses the beginning of several', async () => {
      await redis.link.client.zadd('{loopfleet}:training-ids', 0, 'abc1', 0, 'abc2')

      expect(await rejection(journal.find('abc'))).to.include({ code: 'LF_TRAINING_AMBIGUOUS' })
    })

    for (const hostile of ['', '*', '[', '../x', 'no/such#1', 'a\u0000', '{loopfleet}', 'A'.repeat(10_000)]) {
      it(`and knows none called ${JSON.stringify(hostile.slice(0, 12))}`, async () => {
        await accepted()

        expect(await journal.find(hostile)).to.equal(undefined)
      })
    }

    it('page by page, the newest first', async () => {
      const one = await accepted({ trainingNumber: 1 })
      await journal.finish(one.id, null, { outcome: 'completed' })
      const two = await accepted({ trainingNumber: 2 })

      const idsOf = (records: readonly TrainingRecord[]) => records.map(({ id }) => id)
      expect(idsOf(await journal.list())).to.have.members([two.id, one.id])
      expect(idsOf(await journal.list({ unfinishedOnly: true }))).to.deep.equal([two.id])
      expect(await journal.list({ limit: 1, offset: 1 })).to.have.lengthOf(1)
      expect(await journal.count({ unfinishedOnly: true })).to.equal(1)
    })

    it('also when one record is broken, which only its own reader hears of', async () => {
      const one = await accepted({ trainingNumber: 1 })
      const two = await accepted({ trainingNumber: 2 }, seatB)
      await redis.link.client.hset(`{loopfleet}:training:${one.id}`, 'run', '"many"')

      expect((await journal.list()).map(({ id }) => id)).to.deep.equal([two.id])
      expect(await rejection(journal.load(one.id))).to.include({ code: 'LF_RECORD_INVALID' })
    })
  })

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
        journal.reopen('nobody'),
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

    it('and knows that the same run of another host is none of its own', async () => {
      const { id } = await accepted()
      const run = await journal.beginRun(id, hostA)

      expect(await journal.compareRun(id, run, 'host-a')).to.deep.equal({ state: 'same', found: 1 })
      expect(await journal.compareRun(id, run, 'host-b')).to.deep.equal({ state: 'lost', found: 1 })
    })
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

  it('keeps the first end of a training and frees its seat', async () => {
    const { id } = await accepted()

    await journal.finish(id, null, { outcome: 'failed', errors: { prepare: 'no images' } })
    await journal.finish(id, null, { outcome: 'completed' })

    expect(await journal.load(id)).to.deep.include({ outcome: 'failed', errors: { prepare: 'no images' } })
    expect(await journal.unfinishedOfSeat(seatA.uuid)).to.equal(undefined)
    expect(await journal.list({ unfinishedOnly: true })).to.deep.equal([])
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

  describe('reopens', () => {
    it('a failed training, which goes on from the step that failed', async () => {
      const { id } = await accepted()
      const run = await journal.beginRun(id, hostA)
      await journal.finishStep(id, run, 'train', { hostId: 'host-a', seconds: 1, result: null })
      await journal.finish(id, run, { outcome: 'failed', errors: { upload_model: 'refused' } })

      const answer = await journal.reopen(id)

      expect(answer).to.have.property('outcome', 'reopened')
      const record = await journal.load(id)
      expect(record).to.deep.include({ outcome: null, endedAt: null, errors: {} })
      expect(record?.steps).to.have.property('train')
      expect((await journal.unfinishedOfSeat(seatA.uuid))?.id).to.equal(id)
      expect(await journal.beginRun(id, hostB)).to.equal(run + 1)
    })

    it('nothing that did not fail, and nothing while its seat is busy', async () => {
      const first = await accepted()
      expect(await journal.reopen(first.id)).to.deep.include({ outcome: 'refused' })
      await journal.finish(first.id, null, { outcome: 'failed' })
      const second = await accepted({ trainingNumber: 2 })

      expect(await journal.reopen(first.id)).to.deep.equal({
        outcome: 'refused',
        reason: `Trainer "Trainer A" is busy with training zauberzeug/shapes#2 (${second.id}).`,
      })
      await journal.finish(second.id, null, { outcome: 'completed' })
      expect(await journal.reopen(second.id)).to.have.property('outcome', 'refused')
    })

    for (const outcome of ['completed', 'failed', 'aborted'] as const) {
      it(`nothing whose seat has had another training since, which was ${outcome}`, async () => {
        const first = await accepted()
        await journal.finish(first.id, null, { outcome: 'failed' })
        const second = await accepted({ trainingNumber: 2 })
        await journal.finish(second.id, null, { outcome })

        const answer = await journal.reopen(first.id)

        expect(answer).to.have.property('outcome', 'refused')
        expect(answer).to.have.property('reason').that.includes(`has had zauberzeug/shapes#2 (${second.id}) since`)
        expect(await journal.load(first.id)).to.include({ outcome: 'failed' })
        expect(await journal.load(second.id)).to.include({ outcome })
      })
    }

    it('one beside which only another seat has had a training since', async () => {
      const first = await accepted()
      await journal.finish(first.id, null, { outcome: 'failed' })
      const other = await accepted({ trainingNumber: 2 }, seatB)
      await journal.finish(other.id, null, { outcome: 'completed' })

      expect(await journal.reopen(first.id)).to.have.property('outcome', 'reopened')
    })
  })

  it('tells every process of each change', async () => {
    const other = await redis.another()
    const heard: string[] = []
    const watch = await createJournal(other.link).watch((id) => heard.push(id))
    const { id } = await accepted()

    await journal.beginRun(id, hostA)
    await journal.update(id, 1, { progress: 0.5 })
    await journal.finish(id, 1, { outcome: 'completed' })

    await until('all four changes are heard', () => heard.length === 4)
    expect(new Set(heard)).to.deep.equal(new Set([id]))
    await watch.close()
  })

  it('tells nobody of what the Loop does not see, or sees already', async () => {
    const heard: string[] = []
    const watch = await journal.watch((id) => heard.push(id))
    const { id } = await accepted()
    await journal.beginRun(id, hostA)

    await journal.update(id, 1, { progress: 0.5, state: 'initialized' })
    await journal.update(id, 1, { progress: 0.5, modelId: 'm1', facts: { begun: true } })
    await journal.finishStep(id, 1, 'train', { hostId: 'a', seconds: 1, result: {} })
    await journal.update(id, 1, { errors: { train: 'no' } })
    await journal.finish(id, 1, { outcome: 'completed' })

    await until('the order, the run, two changes and the end are heard', () => heard.length >= 5)
    expect(heard).to.have.lengthOf(5)
    expect(await journal.load(id)).to.include({ modelId: 'm1', progress: 0.5 })
    await watch.close()
  })

  it('keeps a hostile order as it is', async () => {
    const name = `"}]]]\u0000\n<script>${'ä'.repeat(1000)}`
    const category = { id: 'x', name, type: 'box' as const }
    const hyperparameters = { [name]: name, __proto__x: 1 }

    const training = await accepted({ categories: [{ ...category }], hyperparameters })

    expect((await journal.load(training.id))?.order).to.deep.include({ hyperparameters })
  })
})
