import { expect } from 'chai'
import { anOrder, seatA, seatB } from '../orders.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { accepted, type Kept, keepTrainings } from './kept.js'

describe(`trainings: an order`, () => {
  let redis: RedisFixture
  let kept: Kept
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    kept = keepTrainings(redis)
  })

  const accept = (change = {}, seat = seatA) =>
    kept.trainings.accept({ order: anOrder(change), trainer: 'shapes', seat })

  it('is written down whole', async () => {
    const training = await accepted(kept)

    expect(training.id).to.match(/^[a-z][0-9a-z]{11}$/)
    expect(training).to.deep.include({
      ...{ trainer: 'shapes', seat: seatA, order: anOrder(), run: 0, state: 'initialized', hostId: null },
      ...{ errors: {}, steps: {}, models: {}, facts: {}, best: null, endedAt: null, outcome: null },
    })
    expect(await kept.trainings.load(training.id)).to.deep.equal(training)
    expect(await kept.trainings.unfinishedOfSeat(seatA.uuid)).to.deep.equal(training)
  })

  it('is the same training on the same seat while that is unfinished', async () => {
    const training = await accepted(kept)

    expect(await accept()).to.deep.equal({ outcome: 'same', training })
    await kept.take(training.id, 'host-a')
    expect(await accept({ modelVariant: 'big' })).to.deep.include({ outcome: 'same' })
  })

  it('that comes a hundred times at the same moment makes one training', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => accept()))

    expect(answers.filter(({ outcome }) => outcome === 'accepted')).to.have.lengthOf(1)
    expect(answers.filter(({ outcome }) => outcome === 'same')).to.have.lengthOf(99)
    expect(await kept.trainings.count()).to.equal(1)
  })

  it('is refused by a busy seat, naming what it is busy with', async () => {
    const training = await accepted(kept)

    const answer = await accept({ trainingNumber: 2 })

    expect(answer).to.deep.equal({
      outcome: 'refused',
      reason: `Trainer "Trainer A" is busy with training zauberzeug/shapes#1 (${training.id}).`,
    })
  })

  it('of an unfinished training is refused by another seat, naming its holder', async () => {
    const training = await accepted(kept)

    expect(await accept({}, seatB)).to.deep.equal({
      outcome: 'refused',
      reason: `Training zauberzeug/shapes#1 is already at trainer "Trainer A" (seat-a) as ${training.id}.`,
    })
  })

  it('that repeats exactly is known until the Loop has acknowledged its end', async () => {
    const training = await accepted(kept)
    await kept.finish(training.id, 'completed')

    expect(await accept()).to.deep.include({ outcome: 'same' })
    expect(await accept({}, seatB)).to.deep.include({ outcome: 'accepted' })
  })

  it('that differs from one that has ended is a new training', async () => {
    const training = await accepted(kept)
    await kept.finish(training.id, 'completed')

    expect(await accept({ modelVariant: 'big' })).to.deep.include({ outcome: 'accepted' })
  })

  it('for the same number is a new training when the Loop has acknowledged its end', async () => {
    const training = await accepted(kept)
    expect(await kept.trainings.unackedEndsOfSeat(seatA.uuid)).to.deep.equal([])
    await kept.finish(training.id, 'completed')
    const ends = await kept.trainings.unackedEndsOfSeat(seatA.uuid)
    expect(ends.map(({ id }) => id)).to.deep.equal([training.id])
    for (const ended of ends) await kept.trainings.ackEnd(ended)

    expect(await kept.trainings.unackedEndsOfSeat(seatA.uuid)).to.deep.equal([])
    expect(await accept()).to.have.property('outcome', 'accepted')
    expect(await kept.trainings.find('zauberzeug/shapes#1')).to.have.property('run', 0)
    expect(await kept.trainings.count()).to.equal(2)
  })

  it('is known further on when the end that the Loop has acknowledged was an earlier one', async () => {
    const { id } = await accepted(kept)
    await kept.finish(id, 'failed')
    const [earlier] = await kept.trainings.unackedEndsOfSeat(seatA.uuid)
    await kept.trainings.retry(id)
    await new Promise((resolve) => setTimeout(resolve, 2)) // ends differ by their times
    await kept.finish(id, 'completed')

    if (earlier !== undefined) await kept.trainings.ackEnd(earlier)

    expect(await kept.trainings.unackedEndsOfSeat(seatA.uuid)).to.have.lengthOf(1)
    expect(await accept()).to.have.property('outcome', 'same')
  })

  it('with hostile texts is kept as it is', async () => {
    const name = `"}]]]\u0000\n<script>${'ä'.repeat(1000)}`
    const category = { id: 'x', name, type: 'box' as const }
    const hyperparameters = { [name]: name, __proto__x: 1 }

    const training = await accepted(kept, { categories: [{ ...category }], hyperparameters })

    expect((await kept.trainings.load(training.id))?.order).to.deep.include({ hyperparameters })
    expect(await accept({ categories: [{ ...category }], hyperparameters })).to.include({ outcome: 'same' })
  })
})
