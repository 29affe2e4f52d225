import { once } from 'node:events'
import { expect } from 'chai'
import { until } from '../helpers/until.js'
import { orderCurrent } from './bad-orders.js'
import { seatA, useSeatPair, yes } from './seat-pair.js'

describe('of events of an old connection of a seat', () => {
  const { aNode, newest, endAcked } = useSeatPair()

  /** An order whose connection is replaced while the seat takes it. */
  async function interrupted(more: { acksEnd?: () => boolean } = {}) {
    let go: (value?: unknown) => void = () => undefined
    const slow = new Promise((resolve) => {
      go = resolve
    })
    const node = await aNode({ slow, ...more })
    const old = node.peer()
    let answers = 0
    old.emit('begin_training', 'acme', 'pets', orderCurrent(), () => {
      answers += 1
    })
    old.emit('stop_training', () => {
      answers += 1
    })
    await old.timeout(5000).emitWithAck('an_event_without_handler') // so it has arrived
    node.peers.delete(seatA.uuid)
    for (const socket of node.sockets) socket.reconnect()
    if (old.connected) await once(old, 'disconnect')
    await until('the seat is back', () => node.peers.has(seatA.uuid))
    return { ...node, old, go: () => go(), answers: () => answers }
  }

  it('what had arrived is obeyed in its order, and its repetition is the same training', async () => {
    const { begin, trainings, go, answers } = await interrupted({ acksEnd: () => false })

    const repeated = begin()
    go()

    expect(await repeated).to.deep.equal(yes)
    expect(await trainings.count()).to.equal(1)
    expect((await newest(trainings)).outcome).to.equal('aborted')
    expect(answers()).to.equal(0)
  })

  it('a repetition after the Loop has acknowledged the end is a new training', async () => {
    const { begin, trainings, go } = await interrupted()
    go()
    await until('the order is taken', async () => (await trainings.count()) === 1)
    await endAcked(trainings)

    expect(await begin()).to.deep.equal(yes)

    expect(await trainings.count()).to.equal(2)
    expect(await newest(trainings)).to.include({ outcome: null, stopRequested: false })
  })

  it('a stop that arrived over it does not end what was ordered over the new one', async () => {
    const { begin, trainings, go } = await interrupted()

    const next = begin(orderCurrent({ training_number: 8 }))
    go()

    expect(await next).to.deep.equal(yes)
    expect(await newest(trainings)).to.include({ outcome: null, stopRequested: false })
    expect((await newest(trainings)).order.trainingNumber).to.equal(8)
  })

  it('what is sent on it after that is not heard', async () => {
    const { begin, request, trainings, old, go } = await interrupted()
    go()

    old.emit('begin_training', 'acme', 'pets', orderCurrent({ training_number: 9 }))
    old.emit('stop_training')
    expect(await begin(orderCurrent({ training_number: 8 }))).to.deep.equal(yes)

    expect(await newest(trainings)).to.include({ outcome: null, stopRequested: false })
    expect((await trainings.list()).map(({ order }) => order.trainingNumber)).to.deep.equal([8, 7])
    expect(await request('stop')).to.deep.equal(yes)
  })
})
