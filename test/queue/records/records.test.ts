import { expect } from 'chai'
import { createLeases } from '../../../src/queue/records/leases.js'
import { PROTOCOL } from '../../../src/queue/records/protocol.js'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import { createRecords, type Records } from '../../../src/queue/records/records.js'
import { rejection } from '../../helpers/rejection.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import {
  claimAs,
  createSample,
  endLease,
  hostA,
  hostB,
  jumpClock,
  type SamplePayload,
  sampleConversion,
  samplePayload,
  sampleTraining,
  tryClaim,
} from './sample-records.js'

describe('a record', () => {
  let redis: RedisFixture
  let records: Records<SamplePayload>
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    records = createRecords(redis.link, sampleTraining)
    await createSample(records, 't1')
  })

  const whatHappened = async (id = 't1') => (await records.history(id)).map(({ what }) => what)

  it('is made once, waits, and has all that is known of it', async () => {
    const again = await records.create({ id: 't1', name: 'other', payload: { ...samplePayload, order: 'another' } })

    expect(again).to.equal('exists')
    expect(await records.load('t1')).to.deep.include({
      ...{ id: 't1', kind: 'training', name: 'yolo', life: 'waiting', run: 0, version: 1, protocol: PROTOCOL },
      ...{ host: null, incarnation: null, intent: null, outcome: null, startedAt: null, endedAt: null },
      ...{ requires: { gpus: 0 }, use: 'excused', fruitlessRuns: 0, failures: 0, payload: samplePayload },
    })
    expect(await records.load('nobody')).to.equal(undefined)
  })

  it('is refused with an id or a name that cannot be part of a key, and with a payload that does not fit', async () => {
    const names = [
      ['a:b', 'yolo'],
      ['12', 'yolo'],
      ['', 'yolo'],
      ['t2', 'yo:lo'],
    ] as const

    for (const [id, name] of names)
      expect(await rejection(records.create({ id, name, payload: samplePayload }))).to.include({
        code: 'LF_INVALID_INPUT',
      })
    const bad = { ...samplePayload, progress: 'half' } as unknown as SamplePayload
    expect(await rejection(records.create({ id: 't2', name: 'yolo', payload: bad }))).to.include({ name: 'ZodError' })
    expect(await records.count()).to.equal(1)
  })

  it('is claimed by one host, with the run as the fence and the record as it was before', async () => {
    const answer = await tryClaim(records, 't1', hostA)

    expect(answer).to.include({ outcome: 'claimed', fruitlessRuns: 0 })
    expect(answer.outcome === 'claimed' && answer.claim).to.include({ id: 't1', run: 1, incarnation: 'a1' })
    expect(answer.outcome === 'claimed' && answer.before.life).to.equal('waiting')
    expect(await tryClaim(records, 't1', hostB)).to.deep.equal({ outcome: 'taken' })
    expect(await records.load('t1')).to.include({
      life: 'claimed',
      run: 1,
      host: 'a',
      incarnation: 'a1',
      leaseMs: 30_000,
    })
  })

  it('is not claimed by a host that has seen an older version, and not where there is none', async () => {
    await records.amend('t1', { progress: 0.1 })

    expect(await records.claim({ id: 't1', version: 1 }, hostA)).to.deep.equal({ outcome: 'changed' })
    expect(await records.claim({ id: 'nobody', version: 1 }, hostA)).to.deep.equal({ outcome: 'unknown' })
  })

  it('whose lease has run out is claimed by another host, which fences the first one off', async () => {
    const first = await claimAs(records, 't1', hostA)
    await endLease(redis.link, 't1')
    const second = await claimAs(records, 't1', hostB)

    expect(second.run).to.equal(2)
    for (const late of [
      () => records.check(first),
      () => records.update(first, { progress: 0.5 }),
      () => records.finish(first, 'completed'),
      () => records.release(first),
      () => records.remove(first),
    ])
      expect(await rejection(late())).to.include({ code: 'LF_RUN_SUPERSEDED' })
    await records.check(second)
    expect(await whatHappened()).to.deep.equal(['created', 'claimed', 'expired', 'claimed'])
  })

  it('takes nothing from a run that it does not know, or from another life with the same run', async () => {
    const claim = await claimAs(records, 't1', hostA)

    expect(await rejection(records.check({ ...claim, run: 2 }))).to.include({ code: 'LF_RECORD_LOST' })
    expect(await rejection(records.check({ ...claim, id: 'gone' }))).to.include({ code: 'LF_RECORD_LOST' })
    expect(await rejection(records.check({ ...claim, incarnation: 'a2' }))).to.include({ code: 'LF_RUN_SUPERSEDED' })
    expect(await rejection(records.amend('gone', { progress: 1 }))).to.include({ code: 'LF_RECORD_LOST' })
  })

  it('that was removed and made again under its id is another one: no claim of before counts, higher or not', async () => {
    await records.release(await claimAs(records, 't1', hostA))
    const old = await claimAs(records, 't1', hostA)
    await records.remove(old)
    await createSample(records, 't1')
    const renewedOld = async () => (await createLeases(redis.link, hostA).renew([old])).records[0]?.outcome

    expect(await renewedOld()).to.equal('lost') // nobody has claimed the new record, so this ends nothing
    expect(await rejection(records.check(old))).to.include({ code: 'LF_RECORD_LOST' })
    const fresh = [await claimAs(records, 't1', hostA)]
    await records.release(fresh[0] ?? old)
    fresh.push(await claimAs(records, 't1', hostA))
    expect(fresh[1]?.run).to.equal(old.run)

    for (const late of [() => records.check(old), () => records.finish(old, 'x'), () => records.release(old)])
      expect(await rejection(late())).to.include({ code: 'LF_RUN_SUPERSEDED' })
    expect(await renewedOld()).to.equal('superseded')
    await records.check(fresh[1] ?? old)
  })

  it('is written key by key where two writers have keys of their own, whatever these are called', async () => {
    const claim = await claimAs(records, 't1', hostA)
    await records.update(claim, { steps: { train: { host: 'a' } } })
    await records.update(claim, { steps: { constructor: { host: 'b' }, 'with:colon': { host: 'c' } } })
    await records.update(claim, { steps: JSON.parse('{"__proto__": {"host": "d"}}') })

    const steps = (await records.load('t1'))?.payload.steps ?? {}
    expect(Object.keys(steps)).to.have.members(['train', 'constructor', 'with:colon'])
    expect(Object.getPrototypeOf(steps)).to.equal(Object.prototype)
  })

  it('keeps its version when a write says what is there already', async () => {
    const claim = await claimAs(records, 't1', hostA)
    await records.update(claim, { progress: 0.5 })
    const { version } = (await records.load('t1')) ?? {}
    await records.update(claim, { progress: 0.5 })

    expect((await records.load('t1'))?.version).to.equal(version)
  })

  it('counts runs in a row that were worth nothing, and none that was useful or excused', async () => {
    const counts: number[] = []
    for (const ending of ['dies', 'dies', 'useful', 'dies', 'released', 'dies'] as const) {
      const answer = await tryClaim(records, 't1', { ...hostA, incarnation: `a${counts.length}` })
      if (answer.outcome !== 'claimed') throw new Error(answer.outcome)
      counts.push(answer.fruitlessRuns)
      if (ending === 'useful') await records.update(answer.claim, {}, 'useful')
      if (ending === 'released') await records.release(answer.claim)
      else await endLease(redis.link, 't1')
    }

    expect(counts).to.deep.equal([0, 1, 2, 0, 1, 1])
  })

  it('counts each failure once, until there is a new best result', async () => {
    const claim = await claimAs(records, 't1', hostA)
    for (const failure of ['train 1', 'train 2', 'train 2']) await records.update(claim, {}, { failure })
    expect((await records.load('t1'))?.failures).to.equal(2)

    await records.update(claim, { progress: 0.9 }, 'best')

    expect(await records.load('t1')).to.include({ failures: 0, use: 'useful' })
    expect(await whatHappened()).to.deep.equal(['created', 'claimed', 'failure', 'failure'])
  })

  it('that was handed back waits at its old place and takes nothing more from that run', async () => {
    await createSample(records, 't2')
    const claim = await claimAs(records, 't1', hostA)
    await records.release(claim)

    expect((await records.waiting(['yolo'])).records.map(({ id }) => id)).to.deep.equal(['t1', 't2'])
    expect(await rejection(records.update(claim, { progress: 1 }))).to.include({ code: 'LF_RUN_SUPERSEDED' })
    expect(await records.load('t1')).to.include({ host: 'a', incarnation: null, use: 'excused' })
  })

  it('handed back with a pause is offered to hosts after it, with what its run has learned', async () => {
    const leases = createLeases(redis.link, hostB)
    const claim = await claimAs(records, 't1', hostA)
    await records.release(claim, { pauseMs: 60_000, patch: { progress: 0.5 } })
    const paused = recordKeys(redis.link).paused('training', 'yolo')

    await leases.returnExpired()
    expect((await records.waiting(['yolo'])).records).to.deep.equal([])
    expect(await records.countWaiting()).to.deep.equal({ yolo: 1 })
    expect(await records.load('t1')).to.deep.include({ life: 'waiting', payload: { ...samplePayload, progress: 0.5 } })

    await redis.link.client.zadd(paused, 'XX', 1, 't1')
    await leases.returnExpired()
    expect((await records.waiting(['yolo'])).records.map(({ id }) => id)).to.deep.equal(['t1'])
    expect(await redis.link.client.zcard(paused)).to.equal(0)
  })

  it('waits no longer than its pause when the clock of Redis goes back', async () => {
    const leases = createLeases(redis.link, hostB)
    await records.release(await claimAs(records, 't1', hostA), { pauseMs: 60_000 })
    await jumpClock(redis.link, -3_600_000)

    await leases.renew([])
    await leases.returnExpired()

    expect((await records.waiting(['yolo'])).records.map(({ id }) => id)).to.deep.equal(['t1'])
  })

  it('is counted, listed and trimmed by its outcome', async () => {
    for (const [id, outcome] of [
      ['t1', 'failed'],
      ['t2', 'completed'],
      ['t3', 'completed'],
    ] as const) {
      await createSample(records, id)
      await records.finish(await claimAs(records, id, hostA), outcome)
    }

    expect(await records.trim({ outcome: 'completed', keep: 1 })).to.deep.equal(['t2'])
    expect((await records.list({ outcome: 'completed' })).records.map(({ id }) => id)).to.deep.equal(['t3'])
    expect([await records.count({ outcome: 'failed' }), await records.count()]).to.deep.equal([1, 2])
    await records.reopen({ id: 't1', version: (await records.load('t1'))?.version ?? 0 })
    expect(await records.count({ outcome: 'failed' })).to.equal(0)
  })

  it('ends once, and leaves the index of open ones', async () => {
    const claim = await claimAs(records, 't1', hostA)
    await records.finish(claim, 'completed', { progress: 1 })

    expect(await rejection(records.finish(claim, 'failed'))).to.include({ code: 'LF_RUN_SUPERSEDED' })
    expect(await records.load('t1')).to.deep.include({ life: 'ended', outcome: 'completed', intent: null })
    expect([
      await records.count({ of: 'open' }),
      await records.count({ of: 'ended' }),
      await records.count(),
    ]).to.deep.equal([0, 1, 1])
    expect(await tryClaim(records, 't1', hostB)).to.deep.equal({ outcome: 'taken' })
  })

  it('that has ended can be reopened, and takes nothing from its earlier runs', async () => {
    const claim = await claimAs(records, 't1', hostA)
    expect(await records.reopen({ id: 't1', version: 2 })).to.equal('unfinished')
    await records.update(claim, {}, { failure: 'train 1' })
    await records.finish(claim, 'failed')
    const { version = 0 } = (await records.load('t1')) ?? {}

    expect(await records.reopen({ id: 't1', version: version - 1 })).to.equal('changed')
    expect(await records.reopen({ id: 't1', version }, { progress: null })).to.equal('ok')
    expect(await records.reopen({ id: 'gone', version })).to.equal('unknown')
    expect(await rejection(records.check(claim))).to.include({ code: 'LF_RUN_SUPERSEDED' })
    expect(await records.load('t1')).to.include({ life: 'waiting', outcome: null, endedAt: null, run: 2, failures: 0 })
    expect((await claimAs(records, 't1', hostB)).run).to.equal(3)
    expect([await records.count({ of: 'open' }), await records.count({ of: 'ended' })]).to.deep.equal([1, 0])
  })

  it('keeps the wish to end it: an abort is never softened, and the host that has it is asked', async () => {
    await claimAs(records, 't1', hostA)
    const { version } = (await records.load('t1')) ?? {}

    expect(await records.intend('t1', 'stop', 'loop', { endIfWaiting: version })).to.equal('asked')
    expect(await records.intend('t1', 'abort', 'cli')).to.equal('asked')
    expect(await records.intend('t1', 'stop', 'loop')).to.equal('asked')
    expect((await records.load('t1'))?.intent).to.deep.include({ kind: 'abort', by: 'cli' })
    expect(await records.intend('gone', 'stop', 'loop')).to.equal('unknown')
  })

  it('that nobody has ends with the wish, unless it was claimed or written since it was seen', async () => {
    expect(await records.intend('t1', 'abort', 'loop', { endIfWaiting: 0 })).to.equal('changed')
    expect(await records.intend('t1', 'abort', 'loop', { endIfWaiting: 1 })).to.equal('ended')
    expect(await records.intend('t1', 'abort', 'loop')).to.equal('ended-before')

    expect(await records.load('t1')).to.include({ life: 'ended', outcome: 'aborted' })
    expect((await records.waiting(['yolo'])).records).to.deep.equal([])
  })

  it('still has the wish when its host died before it obeyed', async () => {
    await claimAs(records, 't1', hostA)
    await records.intend('t1', 'stop', 'loop')
    await endLease(redis.link, 't1')

    const answer = await tryClaim(records, 't1', hostB)

    expect(answer.outcome === 'claimed' && answer.before.intent?.kind).to.equal('stop')
  })

  it('is removed with all that belongs to it, by its run or when it has ended', async () => {
    await createSample(records, 't2')
    const claim = await claimAs(records, 't1', hostA)
    expect(await records.remove({ id: 't1' })).to.equal('unfinished')
    expect(await records.remove({ id: 'gone' })).to.equal('unknown')

    expect(await records.remove(claim)).to.equal('removed')
    await records.intend('t2', 'abort', 'cli', { endIfWaiting: 1 })
    expect(await records.remove({ id: 't2' })).to.equal('removed')

    const { base } = recordKeys(redis.link)
    const left = (await redis.link.client.keys('*')).map((key) => key.slice(base.length + 1))
    expect(left).to.have.members(['changes', 'change-count', 'clock', 'names'])
  })

  it('goes when it has ended and there are too many or it is too old, the oldest first', async () => {
    for (const id of ['t1', 't2', 't3', 't4']) {
      await createSample(records, id)
      await records.finish(await claimAs(records, id, hostA), 'completed')
    }
    await redis.link.client.zadd(recordKeys(redis.link).ended('training'), 'XX', 1, 't3')

    expect(await records.trim({ keep: 3 })).to.deep.equal(['t3'])
    expect(await records.trim({ keep: 1, limit: 1 })).to.deep.equal(['t1'])
    expect(await records.trim({ keep: 100, maxAgeMs: 60_000 })).to.deep.equal([])
    await redis.link.client.zadd(recordKeys(redis.link).ended('training'), 'XX', 1, 't2')
    expect(await records.trim({ keep: 100, maxAgeMs: 60_000 })).to.deep.equal(['t2'])
    expect((await records.list()).records.map(({ id }) => id)).to.deep.equal(['t4'])
  })

  it('is listed in pages, the newest first, and found by the beginning of its id', async () => {
    for (const id of ['u1', 'u2', 'u3']) {
      await createSample(records, id)
      await redis.link.client.zadd(recordKeys(redis.link).all('training'), 'XX', 2e12 + Number(id[1]), id)
    }

    const page = async (offset: number) => (await records.list({ limit: 2, offset })).records.map(({ id }) => id)

    expect([await page(0), await page(2), await page(4)]).to.deep.equal([['u3', 'u2'], ['u1', 't1'], []])
    expect(await records.idsFrom('u', 2)).to.deep.equal(['u1', 'u2'])
    expect(await records.idsFrom('x', 2)).to.deep.equal([])
  })

  it('that is broken is named beside the others, and is not offered to be claimed', async () => {
    await createSample(records, 't2')
    await redis.link.client.hset(recordKeys(redis.link).record('t1'), 'run', 'many')

    const { records: readable, unreadable } = await records.list()

    expect(readable.map(({ id }) => id)).to.deep.equal(['t2'])
    expect(unreadable.map(({ id }) => id)).to.deep.equal(['t1'])
    expect((await records.waiting(['yolo'])).records.map(({ id }) => id)).to.deep.equal(['t2'])
    expect(await rejection(records.load('t1'))).to.include({ code: 'LF_RECORD_INVALID' })
  })

  it('of one kind is none of another kind', async () => {
    const conversions = createRecords(redis.link, sampleConversion)
    await conversions.create({ id: 'c1', name: 'yolo', requires: { gpus: 1 }, payload: { model: 'm' } })

    expect([await records.count(), await conversions.count()]).to.deep.equal([1, 1])
    expect((await records.waiting(['yolo'])).records.map(({ id }) => id)).to.deep.equal(['t1'])
    expect((await conversions.waiting(['yolo'])).records.map(({ requires }) => requires)).to.deep.equal([{ gpus: 1 }])
    expect([await conversions.load('t1'), await records.load('c1')]).to.deep.equal([undefined, undefined])
  })

  it('has the last fifty lines of its history', async () => {
    const claim = await claimAs(records, 't1', hostA)
    for (let index = 0; index < 60; index++) await records.update(claim, {}, { failure: `train ${index}` })

    const lines = await records.history('t1')

    expect(lines).to.have.lengthOf(50)
    expect(lines[0]).to.include({ what: 'failure', run: 1, host: 'a' })
  })
})
