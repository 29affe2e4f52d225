import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { checkRedisReader } from '../../../src/queue/records/least-reader.js'
import type { RedisLink } from '../../../src/queue/redis/open-redis.js'
import type { TrainingRecord } from '../../../src/queue/trainings/training-record.js'
import { parseTrainingRecord } from '../../../src/queue/trainings/training-record.js'
import { createTrainings, type Trainings } from '../../../src/queue/trainings/trainings.js'
import { claimAs, hostA } from '../records/sample-records.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { restoreRedis } from '../restore-redis.js'

const log = silentLogger()

/** What older code has left in Redis: trainings in each state, with their logs, curves, requests, and locked jobs. */
for (const build of ['7de4018', '1806581'])
  describe(`trainings of ${build}`, () => {
    let redis: RedisFixture
    let trainings: Trainings
    before(async () => {
      redis = await startRedisFixture()
    })
    after(() => redis.close())
    beforeEach(async () => {
      await redis.link.client.flushall()
      await restoreRedis(redis.link.client, `trainings-of-${build}.json`)
      trainings = createTrainings(redis.link, {}, { log })
    })

    const numbered = async (number: number) => {
      const training = await trainings.find(`zauberzeug/demo#${number}`)
      if (training === undefined) throw new Error(`There is no training ${number}.`)
      return training
    }
    const lifeOf = async (id: string) => (await trainings.records.load(id))?.life
    const oldKeys = async () =>
      (await redis.link.client.keys('*')).filter(
        (key) => !/:(records:|node\.|meta|events|queues|write-check)/.test(key),
      )

    it('are records that hold what the journal held, by which all of them are found', async () => {
      const before = await oldTrainings(redis.link)

      await trainings.migrate(redis.queues)

      // What the builds of then did not note is known afterwards, or is noted in another way.
      const held = ({
        endAckedAt: _,
        stopRequested: _a,
        updatedAt: _b,
        life: _c,
        protocol: _d,
        ...rest
      }: TrainingRecord) => rest
      expect((await trainings.list()).map(held)).to.have.deep.members(before.map(held))
      for (const { id } of before) expect(await trainings.find(id.slice(0, 8))).to.include({ id })
      expect(await trainings.count()).to.equal(7)
      expect(await trainings.count({ unfinishedOnly: true })).to.equal(4)
    })

    it('wait if they have not ended, with their run and their fruitless runs', async () => {
      await trainings.migrate(redis.queues)

      const running = await numbered(4)
      expect(running).to.include({ run: 2, fruitlessRuns: 1, hostId: 'host-b', state: 'running', progress: 0.4 })
      const { records } = await trainings.records.waiting(['shapes'])
      const waiting = [running, await numbered(5), await numbered(7), await numbered(3)]
      expect(records.map(({ id }) => id)).to.deep.equal(waiting.map(({ id }) => id))
      expect(await trainings.records.countWaiting()).to.deep.equal({ shapes: 4 })
      const claim = await claimAs(trainings.records, running.id, hostA)
      expect(claim.run).to.equal(3)
      expect(await trainings.load(running.id)).to.include({ fruitlessRuns: 2 }) // its host died with nothing
    })

    it('keep their end, which the Loop has acknowledged if it was asked to', async () => {
      await trainings.migrate(redis.queues)

      const [completed, failed, aborted] = [await numbered(1), await numbered(2), await numbered(6)]
      expect([completed.outcome, failed.outcome, aborted.outcome]).to.deep.equal(['completed', 'failed', 'aborted'])
      expect(completed.endedAt).to.be.below(failed.endedAt ?? 0)
      expect(completed.endAckedAt).to.be.a('number')
      const unacked = await trainings.unackedEndsOfSeat('seat-a')
      expect(unacked.map(({ id }) => id)).to.deep.equal(build === '7de4018' ? [] : [failed.id])
      expect(await trainings.retry(failed.id)).to.include({ outcome: 'reopened' })
    })

    it('are at their seats, and are the same when their orders are repeated', async () => {
      const old = await oldTraining(redis.link, 2)
      const order = await redis.link.client.hget(`{loopfleet}:training:${old.id}`, 'order')
      await trainings.migrate(redis.queues)

      for (const [seat, number] of [
        ['b', 3],
        ['c', 4],
        ['d', 5],
        ['f', 7],
      ] as const) {
        const training = await numbered(number)
        expect((await trainings.unfinishedOfSeat(`seat-${seat}`))?.id).to.equal(training.id)
        expect(await trainings.accept({ ...training, trainer: 'shapes' })).to.include({ outcome: 'same' })
      }
      expect(await trainings.unfinishedOfSeat('seat-a')).to.equal(undefined)
      const failed = await numbered(2)
      const repeated = await trainings.accept({ ...failed, order: JSON.parse(order ?? ''), trainer: 'shapes' })
      expect(repeated).to.include({ outcome: build === '7de4018' ? 'accepted' : 'same' })
    })

    it('are asked for what they were asked for', async () => {
      await trainings.migrate(redis.queues)

      const { id } = await numbered(5)
      expect((await trainings.records.load(id))?.intent).to.include({ kind: 'stop', by: 'loop' })
      expect(await lifeOf(id)).to.equal('waiting')
      expect((await trainings.records.load((await numbered(3)).id))?.intent).to.equal(null)
    })

    it('have their logs and curves', async () => {
      const { id } = await oldTraining(redis.link, 2)
      await redis.link.client.expire(`{loopfleet}:log:${id}`, 1000)

      await trainings.migrate(redis.queues)

      const texts = async (number: number) =>
        (await trainings.readLog((await numbered(number)).id)).map(({ text }) => text)
      expect([await texts(1), await texts(2)]).to.deep.equal([['it converged\n'], ['no such layer\n']])
      expect(await trainings.readCurve((await numbered(1)).id)).to.deep.equal([
        { epoch: 1, values: { loss: 0.5 } },
        { epoch: 2, values: { loss: 0.25 } },
      ])
      expect(await redis.link.client.ttl(`{loopfleet}:records:log:${id}`)).to.be.within(990, 1000)
    })

    it('leave nothing behind in the old form, with their queues, and are migrated once', async () => {
      await trainings.migrate(redis.queues)
      const first = await trainings.list()
      expect(await oldKeys()).to.deep.equal([])
      expect(await redis.queues.names()).to.deep.equal(['node.seat-c'])
      await redis.queues.add('host-a.train', 'a step of the new form', {}, { id: 's1' })

      await trainings.migrate(redis.queues)

      expect(await trainings.list()).to.deep.equal(first)
      expect(await redis.queues.job('host-a.train', 's1')).to.not.equal(undefined)
      await checkRedisReader(redis.link)
      await redis.queues.destroy('host-a.train')
    })

    it('that cannot be read stay as they are, and do not hide the others', async () => {
      const { id } = await oldTraining(redis.link, 4)
      await redis.link.client.hset(`{loopfleet}:training:${id}`, 'state', 'no json')
      const hash = await redis.link.client.hgetall(`{loopfleet}:training:${id}`)

      await trainings.migrate(redis.queues)

      expect(await trainings.count()).to.equal(6)
      expect(await redis.link.client.hgetall(`{loopfleet}:training:${id}`)).to.deep.equal(hash)
      expect(await redis.link.client.hget('{loopfleet}:seat-trainings', 'seat-c')).to.equal(id)
      expect(await redis.link.client.zrange('{loopfleet}:trainings', 0, '-1')).to.deep.equal([id])
    })

    it('of which a part was migrated before the process died are migrated with the rest', async () => {
      const broken = await oldTraining(redis.link, 2)
      const key = `{loopfleet}:training:${broken.id}`
      const state = await redis.link.client.hget(key, 'state')
      await redis.link.client.hset(key, 'state', 'no json')
      await trainings.migrate(redis.queues)
      await redis.link.client.hset(key, 'state', state ?? '')

      await trainings.migrate(redis.queues)

      expect(await numbered(2)).to.include({ id: broken.id, outcome: 'failed' })
      expect(await trainings.retry(broken.id)).to.include({ outcome: 'reopened' })
      expect(await oldKeys()).to.deep.equal([])
    })
  })

/** Trainings as the journal of builds before records kept them, the newest first. */
async function oldTrainings({ client }: Pick<RedisLink, 'client'>): Promise<readonly TrainingRecord[]> {
  const ids = await client.zrevrange('{loopfleet}:trainings', 0, '-1')
  const found = await Promise.all(
    ids.map(async (id) => parseTrainingRecord(id, await client.hgetall(`{loopfleet}:training:${id}`))),
  )
  return found.filter((training) => training !== undefined)
}

async function oldTraining(link: Pick<RedisLink, 'client'>, number: number): Promise<TrainingRecord> {
  const found = (await oldTrainings(link)).find(({ order }) => order.trainingNumber === number)
  if (found === undefined) throw new Error(`There is no training ${number}.`)
  return found
}
