import { expect } from 'chai'
import { intentKinds } from '../../src/queue/records/record-schema.js'
import { until } from '../helpers/until.js'
import { hostA } from '../queue/orders.js'
import { orderCurrent } from './bad-orders.js'
import { seatA, seatB, useSeatPair, yes } from './seat-pair.js'

// The rows of docs/reference/orders.md, with the Loop's part played by the test over a real socket.
describe('a seat that is to stop or abort answers', () => {
  const { aNode, newest, taken, ended, waiting } = useSeatPair()

  for (const kind of intentKinds) {
    describe(`${kind}_training`, () => {
      it('with true when it has no training, and takes an order that comes then', async () => {
        const { request, begin, trainings } = await aNode()

        expect(await request(kind)).to.deep.equal(yes)
        expect(await begin()).to.deep.equal(yes)

        const { id, outcome } = await newest(trainings)
        expect(outcome).to.equal(null)
        expect(await trainings.pending(id)).to.equal(null)
      })

      it('with true while its order is being taken, which is then ended immediately', async () => {
        let go: (value?: unknown) => void = () => undefined
        const slow = new Promise((resolve) => {
          go = resolve
        })
        const { request, begin, trainings } = await aNode({ slow })

        const answers = [begin(), request(kind)]
        go()

        expect(await Promise.all(answers)).to.deep.equal([yes, yes])
        expect((await newest(trainings)).outcome).to.equal('aborted')
        expect(await waiting()).to.equal(0)
      })

      it('with true while it waits for a host, and ends it immediately', async () => {
        const { request, begin, trainings } = await aNode()
        await begin()

        expect(await request(kind)).to.deep.equal(yes)

        expect((await newest(trainings)).outcome).to.equal('aborted')
        expect(await waiting()).to.equal(0)
      })

      it('with true while it waits with a model', async () => {
        const { request, begin, trainings } = await aNode()
        await begin()
        const { id } = await newest(trainings)
        await trainings.update(id, await trainings.beginRun(id, hostA), { best: { epoch: 3 } })
        await trainings.handBack(id)

        expect(await request(kind)).to.deep.equal(yes)

        expect((await newest(trainings)).outcome).to.equal(kind === 'stop' ? null : 'aborted')
        expect(await trainings.pending(id)).to.equal(kind === 'stop' ? 'stop' : null)
      })

      it('with true while a host works on it, which is told', async () => {
        const { request, begin, trainings } = await aNode()
        await begin()
        const { id } = await taken(trainings)

        expect(await request(kind)).to.deep.equal(yes)
        expect(await request(kind)).to.deep.equal(yes)

        expect(await trainings.pending(id)).to.equal(kind)
        expect((await newest(trainings)).stopRequested).to.equal(true)
      })

      it('with true in every state a host may have it in', async () => {
        const { request, begin, trainings } = await aNode()
        await begin()
        const { id, run } = await taken(trainings)
        for (const state of ['data_downloading', 'running', 'train_model_uploaded', 'detection_uploading'] as const) {
          await trainings.update(id, run, { state })

          expect(await request(kind), state).to.deep.equal(yes)

          expect(await trainings.pending(id), state).to.equal(kind)
        }
      })

      it('with true when it has ended, and the end stays as it was', async () => {
        const { request, begin, trainings } = await aNode()
        await begin()
        const { id } = await ended(trainings, 'completed')

        expect(await request(kind)).to.deep.equal(yes)

        expect((await newest(trainings)).outcome).to.equal('completed')
        expect(await trainings.pending(id)).to.equal(null)
      })

      it('for its own training alone', async () => {
        const { request, begin, trainings } = await aNode()
        await begin()
        await begin(orderCurrent({ training_number: 8 }), seatB)

        expect(await request(kind, seatB)).to.deep.equal(yes)

        expect(await trainings.unfinishedOfSeat(seatA.uuid)).to.include({ outcome: null, stopRequested: false })
        expect(await trainings.unfinishedOfSeat(seatB.uuid)).to.equal(undefined)
      })
    })
  }

  for (const [first, then] of [
    ['stop', 'abort'],
    ['abort', 'stop'],
  ] as const) {
    it(`${then} after ${first} with true, and it is an abort`, async () => {
      const { request, begin, trainings } = await aNode()
      await begin()
      const { id } = await taken(trainings)

      expect(await request(first)).to.deep.equal(yes)
      expect(await request(then)).to.deep.equal(yes)

      expect(await trainings.pending(id)).to.equal('abort')
    })
  }

  it('nothing of an order that was refused, since the answer of Redis came too late', async () => {
    let go: (value?: unknown) => void = () => undefined
    const late = new Promise((resolve) => {
      go = resolve
    })
    const { begin, trainings } = await aNode({ late })

    const answer = await begin()
    go()

    expect(answer).to.include({ success: false })
    await until('it is taken back', async () => (await newest(trainings)).outcome === 'aborted')
    expect(await waiting()).to.equal(0)
    expect(await begin(orderCurrent({ training_number: 9 }))).to.deep.equal(yes)
  })
})
