import { expect } from 'chai'
import { badFields, order08, orderCurrent } from './bad-orders.js'
import { seatA, seatB, useSeatPair, yes } from './seat-pair.js'

// The rows of docs/reference/orders.md, with the Loop's part played by the test over a real socket.
describe('a seat answers', () => {
  const { aNode, newest, taken, ended, endAcked, waiting, closeAll } = useSeatPair()

  describe('begin_training', () => {
    it('with true for a new one, which waits for a host', async () => {
      const { begin, trainings } = await aNode()

      expect(await begin()).to.deep.equal(yes)

      expect(await newest(trainings)).to.include({ state: 'initialized', outcome: null })
      expect(await waiting()).to.equal(1)
    })

    it('with true for the same training again and again, one by one', async () => {
      const { begin, trainings } = await aNode()

      for (let time = 1; time <= 5; time += 1) expect(await begin()).to.deep.equal(yes)

      expect(await trainings.count()).to.equal(1)
      expect(await waiting()).to.equal(1)
    })

    // Not all hundred together: they are answered one after the other, each within three seconds or it is refused.
    it('with true a hundred times, ten at the same time, and makes one training of them', async () => {
      const { begin, trainings } = await aNode()

      for (let time = 0; time < 10; time += 1) {
        const answers = await Promise.all(Array.from({ length: 10 }, () => begin()))
        expect(answers).to.deep.equal(Array(10).fill(yes))
      }

      expect(await trainings.count()).to.equal(1)
      expect(await waiting()).to.equal(1)
    })

    it('with true for the same while a host works on it', async () => {
      const { begin, trainings } = await aNode()
      await begin()
      await taken(trainings)

      expect(await begin()).to.deep.equal(yes)

      expect(await trainings.count()).to.equal(1)
      expect(await waiting()).to.equal(0)
    })

    it('with true for the same with other details while it is unfinished, and keeps to the first', async () => {
      const { begin, trainings } = await aNode()
      await begin()

      expect(await begin(orderCurrent({ model_variant: 'large' }))).to.deep.equal(yes)

      expect((await newest(trainings)).order.modelVariant).to.equal('small')
      expect(await trainings.count()).to.equal(1)
    })

    for (const outcome of ['completed', 'aborted', 'failed'] as const) {
      it(`with true for the same after it was ${outcome}, as long as the Loop has not acknowledged that`, async () => {
        const { begin, trainings } = await aNode({ acksEnd: () => false })
        await begin()
        await ended(trainings, outcome)

        expect(await begin()).to.deep.equal(yes)

        expect(await trainings.count()).to.equal(1)
        expect(await waiting()).to.equal(0)
      })

      it(`with true for the same when the Loop has acknowledged that it was ${outcome}, as a new training`, async () => {
        const { begin, trainings } = await aNode()
        await begin()
        await ended(trainings, outcome)
        await endAcked(trainings)

        expect(await begin()).to.deep.equal(yes)

        expect(await trainings.count()).to.equal(2)
        expect(await waiting()).to.equal(1)
      })
    }

    it('with true for the same when the node died before the Loop acknowledged its end, as a new training', async () => {
      const first = await aNode({ acksEnd: () => false })
      await first.begin()
      await ended(first.trainings, 'completed')
      await closeAll()

      const { begin, trainings } = await aNode()
      await endAcked(trainings)

      expect(await begin()).to.deep.equal(yes)
      expect(await trainings.count()).to.equal(2)
      expect(await waiting()).to.equal(1)
    })

    it('with true for the one whose end is not acknowledged when it has another one by now', async () => {
      const { begin, trainings } = await aNode({ acksEnd: () => false })
      await begin()
      await ended(trainings, 'completed')
      await begin(orderCurrent({ training_number: 8 }))

      expect(await begin()).to.deep.equal(yes)

      expect(await trainings.count()).to.equal(2)
      expect((await newest(trainings)).order.trainingNumber).to.equal(8)
    })

    it('with true for the same number with other details after its end, as a new training', async () => {
      const { begin, trainings } = await aNode()
      await begin()
      await ended(trainings, 'failed')

      expect(await begin(orderCurrent({ model_variant: 'large' }))).to.deep.equal(yes)

      expect(await trainings.count()).to.equal(2)
      expect((await newest(trainings)).order.modelVariant).to.equal('large')
    })

    it('with what it is busy with when it has another one, waiting or at work', async () => {
      const { begin, trainings } = await aNode()
      await begin()
      const busy = `Trainer "Seat A" is busy with training acme/pets#7 (${(await newest(trainings)).id}).`
      const refusal = { success: false, error_msg: busy, payload: 'refused' }

      expect(await begin(orderCurrent({ training_number: 8 }))).to.deep.equal(refusal)
      await taken(trainings)
      expect(await begin(orderCurrent({ training_number: 8 }))).to.deep.equal(refusal)

      expect(await trainings.count()).to.equal(1)
    })

    it('with the holder for one that is unfinished at another seat', async () => {
      const { begin, trainings } = await aNode()
      await begin()

      const answer = await begin(orderCurrent(), seatB)

      const { id } = await newest(trainings)
      const holder = `Training acme/pets#7 is already at trainer "Seat A" (${seatA.uuid}) as ${id}.`
      expect(answer).to.deep.equal({ success: false, error_msg: holder, payload: 'refused' })
      expect(await trainings.unfinishedOfSeat(seatB.uuid)).to.equal(undefined)
    })

    it('with true for one that has ended at another seat, as a new training', async () => {
      const { begin, trainings } = await aNode()
      await begin()
      await ended(trainings, 'completed')

      expect(await begin(orderCurrent(), seatB)).to.deep.equal(yes)

      expect((await newest(trainings)).seat).to.deep.equal(seatB)
      expect(await trainings.count()).to.equal(2)
    })

    it('with true when only the base model is none it knows, and starts from scratch', async () => {
      const { begin, trainings } = await aNode()

      expect(await begin(orderCurrent({ base_model_uuid: 'latest' }))).to.deep.equal(yes)

      expect((await newest(trainings)).order.baseModel).to.deep.equal({ kind: 'none' })
    })
  })

  describe('a bad begin_training in one sentence that names the field:', () => {
    for (const [dialect, make] of [
      ['current', orderCurrent],
      ['0.8', order08],
    ] as const) {
      it(`each field of dialect ${dialect}, missing or of a wrong type`, async () => {
        const { begin, trainings } = await aNode()
        expect(badFields[dialect].length).to.be.at.least(20)

        for (const { change, field } of badFields[dialect]) {
          const answer = await begin(make(change))
          const what = JSON.stringify(change)
          expect(answer, what).to.include({ success: false, payload: null })
          expect(answer.error_msg, what).to.match(/^begin_training: .+\.$/)
          expect(answer.error_msg, what).to.include(field)
        }

        expect(await trainings.count()).to.equal(0)
        expect(await waiting()).to.equal(0)
        expect(await begin(make()), 'and takes a good one then').to.deep.equal(yes)
      })
    }

    it('no arguments, too few, or of the wrong kind', async () => {
      const { ask, trainings } = await aNode()
      const good = orderCurrent()
      for (const [args, field] of [
        [[], 'organization'],
        [['acme'], 'project'],
        [['acme', 'pets'], 'third argument'],
        [['acme', 'pets', null], 'third argument'],
        [['acme', 'pets', 'all of it'], 'third argument'],
        [['acme', 'pets', [good]], 'third argument'],
        [[7, 'pets', good], 'organization'],
        [['acme', '../pets', good], 'project'],
        [['', 'pets', good], 'organization'],
      ] as const) {
        const answer = await ask('begin_training', args)
        expect(answer, JSON.stringify(args)).to.include({ success: false, payload: null })
        expect(answer.error_msg, JSON.stringify(args)).to.match(/^begin_training: /)
        expect(answer.error_msg, JSON.stringify(args)).to.include(field)
      }
      expect(await trainings.count()).to.equal(0)
    })
  })
})
