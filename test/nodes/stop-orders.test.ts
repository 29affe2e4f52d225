import { expect } from 'chai'
import { controlKinds } from '../../src/queue/control.js'
import { until } from '../helpers/until.js'
import { hostA } from '../queue/orders.js'
import { orderCurrent } from './bad-orders.js'
import { seatA, seatB, useSeatPair, yes } from './seat-pair.js'

// The rows of docs/reference/orders.md, with the Loop's part played by the test over a real socket.
describe('a seat that is to stop or abort answers', () => {
  const { aNode, newest, taken, ended, waiting } = useSeatPair()

  for (const kind of controlKinds) {
    describe(`${kind}_training`, () => {
      it('with true when it has no training, and takes an order that comes then', async () => {
        const { request, begin, journal, control } = await aNode()

        expect(await request(kind)).to.deep.equal(yes)
        expect(await begin()).to.deep.equal(yes)

        const { id, outcome } = await newest(journal)
        expect(outcome).to.equal(null)
        expect(await control.pending(id)).to.equal(null)
      })

      it('with true while its order is being taken, which is then ended at once', async () => {
        let go: (value?: unknown) => void = () => undefined
        const slow = new Promise((resolve) => {
          go = resolve
        })
        const { request, begin, journal } = await aNode({ slow })

        const answers = [begin(), request(kind)]
        go()

        expect(await Promise.all(answers)).to.deep.equal([yes, yes])
        expect((await newest(journal)).outcome).to.equal('aborted')
        expect(await waiting()).to.equal(0)
      })

      it('with true while it waits for a host, and ends it at once', async () => {
        const { request, begin, journal } = await aNode()
        await begin()

        expect(await request(kind)).to.deep.equal(yes)

        expect((await newest(journal)).outcome).to.equal('aborted')
        expect(await waiting()).to.equal(0)
      })

      it('with true while it waits with a model', async () => {
        const { request, begin, journal, control } = await aNode()
        await begin()
        const { id } = await newest(journal)
        await journal.update(id, await journal.beginRun(id, hostA), { best: { epoch: 3 } })

        expect(await request(kind)).to.deep.equal(yes)

        expect((await newest(journal)).outcome).to.equal(kind === 'stop' ? null : 'aborted')
        expect(await control.pending(id)).to.equal(kind === 'stop' ? 'stop' : null)
      })

      it('with true while a host works on it, which is told', async () => {
        const { request, begin, journal, control } = await aNode()
        await begin()
        const { id } = await taken(journal)

        expect(await request(kind)).to.deep.equal(yes)
        expect(await request(kind)).to.deep.equal(yes)

        expect(await control.pending(id)).to.equal(kind)
        expect((await newest(journal)).stopRequested).to.equal(true)
      })

      it('with true in every state a host may have it in', async () => {
        const { request, begin, journal, control } = await aNode()
        await begin()
        const { id, run } = await taken(journal)
        for (const state of ['data_downloading', 'running', 'train_model_uploaded', 'detection_uploading'] as const) {
          await journal.update(id, run, { state })
          await control.clear(id)

          expect(await request(kind), state).to.deep.equal(yes)

          expect(await control.pending(id), state).to.equal(kind)
        }
      })

      it('with true when it has ended, and the end stays as it was', async () => {
        const { request, begin, journal, control } = await aNode()
        await begin()
        const { id } = await ended(journal, 'completed')

        expect(await request(kind)).to.deep.equal(yes)

        expect((await newest(journal)).outcome).to.equal('completed')
        expect(await control.pending(id)).to.equal(null)
      })

      it('for its own training alone', async () => {
        const { request, begin, journal } = await aNode()
        await begin()
        await begin(orderCurrent({ training_number: 8 }), seatB)

        expect(await request(kind, seatB)).to.deep.equal(yes)

        expect(await journal.unfinishedOfSeat(seatA.uuid)).to.include({ outcome: null, stopRequested: false })
        expect(await journal.unfinishedOfSeat(seatB.uuid)).to.equal(undefined)
      })
    })
  }

  for (const [first, then] of [
    ['stop', 'abort'],
    ['abort', 'stop'],
  ] as const) {
    it(`${then} after ${first} with true, and it is an abort`, async () => {
      const { request, begin, journal, control } = await aNode()
      await begin()
      const { id } = await taken(journal)

      expect(await request(first)).to.deep.equal(yes)
      expect(await request(then)).to.deep.equal(yes)

      expect(await control.pending(id)).to.equal('abort')
    })
  }

  it('nothing of an order that was refused, since the answer of Redis came too late', async () => {
    let go: (value?: unknown) => void = () => undefined
    const late = new Promise((resolve) => {
      go = resolve
    })
    const { begin, journal } = await aNode({ late })

    const answer = await begin()
    go()

    expect(answer).to.include({ success: false })
    await until('it is taken back', async () => (await newest(journal)).outcome === 'aborted')
    expect(await waiting()).to.equal(0)
    expect(await begin(orderCurrent({ training_number: 9 }))).to.deep.equal(yes)
  })
})
