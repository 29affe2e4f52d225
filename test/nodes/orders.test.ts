import { once } from 'node:events'
import { expect } from 'chai'
import type { Socket } from 'socket.io'
import { silentLogger } from '../../src/base/logger.js'
import { createLoopSession } from '../../src/loop/client/session.js'
import { createLoopSocket, type LoopSocket } from '../../src/loop/client/socket.js'
import { type Answer, answerSchema, okAnswer } from '../../src/loop/protocol/index.js'
import { createTrainerNode } from '../../src/nodes/trainer/trainer-node.js'
import { type ControlKind, controlKinds, createControl } from '../../src/queue/control.js'
import { createFleet } from '../../src/queue/fleet.js'
import { createJournal, type Journal, type TrainingRecord } from '../../src/queue/journal.js'
import { queueNames } from '../../src/queue/names.js'
import { type SocketLoop, startSocketLoop } from '../helpers/socket-loop.js'
import { until } from '../helpers/until.js'
import { hostA } from '../queue/orders.js'
import { type RedisFixture, startRedisFixture } from '../queue/redis-fixture.js'
import { badFields, order08, orderCurrent } from './bad-orders.js'

// The rows of docs/reference/orders.md, with the Loop's part played by the test over a real socket.
const log = silentLogger()
const TRAININGS = queueNames.trainings('quick')
const seatA = { uuid: '0b0e4c7a-6a3e-4b0a-9a55-0d5c7d4c1c11', name: 'Seat A' }
const seatB = { uuid: '0b0e4c7a-6a3e-4b0a-9a55-0d5c7d4c1c22', name: 'Seat B' }

describe('a seat answers', () => {
  let redis: RedisFixture
  let closers: (() => unknown)[] = []
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(() => redis.link.client.flushall())
  afterEach(closeAll)

  async function closeAll(): Promise<void> {
    for (const close of closers.reverse()) await close()
    closers = []
  }

  /** Which seat speaks over a connection, its status says. */
  async function aNode({ window = 60_000, slow }: { window?: number; slow?: Promise<unknown> } = {}) {
    const peers = new Map<string, Socket>()
    const loop: SocketLoop = await startSocketLoop({
      onConnect(socket) {
        socket.on('update_trainer', (status: { id: string }, ack: (answer: Answer) => void) => {
          peers.set(status.id, socket)
          ack(okAnswer())
        })
      },
    })
    closers.push(() => loop.close())
    const session = createLoopSession({ host: loop.host }, { log })
    closers.push(() => session.close())
    const journal = createJournal(redis.link, { repeatWindowMs: window })
    const control = createControl(redis.link, journal, redis.queues)
    const accept: Journal['accept'] = async (order) => {
      await slow
      return journal.accept(order)
    }
    const sockets: LoopSocket[] = []
    const node = createTrainerNode(
      {
        identities: [seatA, seatB],
        profile: { name: 'quick', architecture: null, models: [] },
        dialect: 'current',
        heartbeatMs: 60_000,
      },
      {
        createSocket() {
          const socket = createLoopSocket({ nodeType: 'trainer', reconnectMaxMs: 50 }, { session, log })
          sockets.push(socket)
          return socket
        },
        queues: redis.queues,
        journal: { ...journal, accept },
        control,
        fleet: createFleet(redis.link),
        log,
        now: Date.now,
      },
    )
    closers.push(() => node.stop())
    await node.start({ signal: new AbortController().signal })
    await until('both seats have spoken', () => peers.size === 2)
    const peer = ({ uuid } = seatA): Socket => {
      const socket = peers.get(uuid)
      if (socket === undefined) throw new Error('the seat has not spoken')
      return socket
    }
    const ask = async (event: string, args: readonly unknown[] = [], seat = seatA): Promise<Answer> =>
      answerSchema.parse(
        await peer(seat)
          .timeout(10_000)
          .emitWithAck(event, ...args),
      )
    return {
      ask,
      peer,
      peers,
      sockets,
      journal,
      control,
      begin: (config: unknown = orderCurrent(), seat = seatA) => ask('begin_training', ['acme', 'pets', config], seat),
      request: (kind: ControlKind, seat = seatA) => ask(`${kind}_training`, [], seat),
    }
  }

  const yes: Answer = { success: true, error_msg: null, payload: null }
  const waiting = async () => (await redis.queues.counts(TRAININGS)).waiting
  const newest = async (journal: Journal): Promise<TrainingRecord> => {
    const [record] = await journal.list({ limit: 1 })
    if (record === undefined) throw new Error('there is no training')
    return record
  }
  /** A host has taken it, and runs it until it is told otherwise. */
  async function taken(journal: Journal): Promise<TrainingRecord> {
    const { id } = await newest(journal)
    const worker = redis.queues.consume(
      TRAININGS,
      (_job, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      { schema: { safeParse: (data: unknown) => ({ success: true, data }) } as never },
    )
    closers.push(() => worker.close({ cancel: new Error('over') }))
    await until('a host has it', () => redis.queues.isActive(TRAININGS, id))
    await journal.beginRun(id, hostA)
    return newest(journal)
  }
  async function ended(journal: Journal, outcome: 'completed' | 'aborted' | 'failed'): Promise<TrainingRecord> {
    const { id } = await newest(journal)
    await redis.queues.remove(TRAININGS, id)
    await journal.finish(id, null, { outcome })
    return newest(journal)
  }

  describe('begin_training', () => {
    it('with true for a new one, which waits for a host', async () => {
      const { begin, journal } = await aNode()

      expect(await begin()).to.deep.equal(yes)

      expect(await newest(journal)).to.include({ state: 'initialized', outcome: null })
      expect(await waiting()).to.equal(1)
    })

    it('with true for the same training again and again, one by one', async () => {
      const { begin, journal } = await aNode()

      for (let time = 1; time <= 5; time += 1) expect(await begin()).to.deep.equal(yes)

      expect(await journal.count()).to.equal(1)
      expect(await waiting()).to.equal(1)
    })

    it('with true a hundred times at once, and makes one training of them', async () => {
      const { begin, journal } = await aNode()

      const answers = await Promise.all(Array.from({ length: 100 }, () => begin()))

      expect(answers).to.deep.equal(Array(100).fill(yes))
      expect(await journal.count()).to.equal(1)
      expect(await waiting()).to.equal(1)
    })

    it('with true for the same while a host works on it', async () => {
      const { begin, journal } = await aNode()
      await begin()
      await taken(journal)

      expect(await begin()).to.deep.equal(yes)

      expect(await journal.count()).to.equal(1)
      expect(await waiting()).to.equal(0)
    })

    it('with true for the same with other details while it is unfinished, and keeps to the first', async () => {
      const { begin, journal } = await aNode()
      await begin()

      expect(await begin(orderCurrent({ model_variant: 'large' }))).to.deep.equal(yes)

      expect((await newest(journal)).order.modelVariant).to.equal('small')
      expect(await journal.count()).to.equal(1)
    })

    for (const outcome of ['completed', 'aborted', 'failed'] as const) {
      it(`with true for the same within a minute after it was ${outcome}, and does nothing`, async () => {
        const { begin, journal } = await aNode()
        await begin()
        await ended(journal, outcome)

        expect(await begin()).to.deep.equal(yes)

        expect(await journal.count()).to.equal(1)
        expect(await waiting()).to.equal(0)
      })

      it(`with true for the same more than a minute after it was ${outcome}, as a new training`, async () => {
        const { begin, journal } = await aNode({ window: 0 })
        await begin()
        await ended(journal, outcome)

        expect(await begin()).to.deep.equal(yes)

        expect(await journal.count()).to.equal(2)
        expect(await waiting()).to.equal(1)
      })
    }

    it('with true for the one that has just ended when it has another one by now', async () => {
      const { begin, journal } = await aNode()
      await begin()
      await ended(journal, 'completed')
      await begin(orderCurrent({ training_number: 8 }))

      expect(await begin()).to.deep.equal(yes)

      expect(await journal.count()).to.equal(2)
      expect((await newest(journal)).order.trainingNumber).to.equal(8)
    })

    it('with true for the same number with other details after its end, as a new training', async () => {
      const { begin, journal } = await aNode()
      await begin()
      await ended(journal, 'failed')

      expect(await begin(orderCurrent({ model_variant: 'large' }))).to.deep.equal(yes)

      expect(await journal.count()).to.equal(2)
      expect((await newest(journal)).order.modelVariant).to.equal('large')
    })

    it('with what it is busy with when it has another one, waiting or at work', async () => {
      const { begin, journal } = await aNode()
      await begin()
      const busy = `Trainer "Seat A" is busy with training acme/pets#7 (${(await newest(journal)).id}).`
      const refusal = { success: false, error_msg: busy, payload: null }

      expect(await begin(orderCurrent({ training_number: 8 }))).to.deep.equal(refusal)
      await taken(journal)
      expect(await begin(orderCurrent({ training_number: 8 }))).to.deep.equal(refusal)

      expect(await journal.count()).to.equal(1)
    })

    it('with the holder for one that is unfinished at another seat', async () => {
      const { begin, journal } = await aNode()
      await begin()

      const answer = await begin(orderCurrent(), seatB)

      const { id } = await newest(journal)
      const holder = `Training acme/pets#7 is already at trainer "Seat A" (${seatA.uuid}) as ${id}.`
      expect(answer).to.deep.equal({ success: false, error_msg: holder, payload: null })
      expect(await journal.unfinishedOfSeat(seatB.uuid)).to.equal(undefined)
    })

    it('with true for one that has ended at another seat, as a new training', async () => {
      const { begin, journal } = await aNode()
      await begin()
      await ended(journal, 'completed')

      expect(await begin(orderCurrent(), seatB)).to.deep.equal(yes)

      expect((await newest(journal)).seat).to.deep.equal(seatB)
      expect(await journal.count()).to.equal(2)
    })

    it('with true when only the base model is none it knows, and starts from scratch', async () => {
      const { begin, journal } = await aNode()

      expect(await begin(orderCurrent({ base_model_uuid: 'latest' }))).to.deep.equal(yes)

      expect((await newest(journal)).order.baseModel).to.deep.equal({ kind: 'none' })
    })
  })

  describe('a bad begin_training in one sentence that names the field:', () => {
    for (const [dialect, make] of [
      ['current', orderCurrent],
      ['0.8', order08],
    ] as const) {
      it(`each field of dialect ${dialect}, missing or of a wrong type`, async () => {
        const { begin, journal } = await aNode()
        expect(badFields[dialect].length).to.be.at.least(20)

        for (const { change, field } of badFields[dialect]) {
          const answer = await begin(make(change))
          const what = JSON.stringify(change)
          expect(answer, what).to.include({ success: false, payload: null })
          expect(answer.error_msg, what).to.match(/^begin_training: .+\.$/)
          expect(answer.error_msg, what).to.include(field)
        }

        expect(await journal.count()).to.equal(0)
        expect(await waiting()).to.equal(0)
        expect(await begin(make()), 'and takes a good one then').to.deep.equal(yes)
      })
    }

    it('no arguments, too few, or of the wrong kind', async () => {
      const { ask, journal } = await aNode()
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
      expect(await journal.count()).to.equal(0)
    })
  })

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

  describe('events of an old connection:', () => {
    /** An order whose connection is replaced while the seat takes it. */
    async function interrupted() {
      let go: (value?: unknown) => void = () => undefined
      const slow = new Promise((resolve) => {
        go = resolve
      })
      const node = await aNode({ slow })
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
      const { begin, journal, go, answers } = await interrupted()

      const repeated = begin()
      go()

      expect(await repeated).to.deep.equal(yes)
      expect(await journal.count()).to.equal(1)
      expect((await newest(journal)).outcome).to.equal('aborted')
      expect(answers()).to.equal(0)
    })

    it('a stop that arrived over it does not end what was ordered over the new one', async () => {
      const { begin, journal, go } = await interrupted()

      const next = begin(orderCurrent({ training_number: 8 }))
      go()

      expect(await next).to.deep.equal(yes)
      expect(await newest(journal)).to.include({ outcome: null, stopRequested: false })
      expect((await newest(journal)).order.trainingNumber).to.equal(8)
    })

    it('what is sent on it after that is not heard', async () => {
      const { begin, request, journal, old, go } = await interrupted()
      go()

      old.emit('begin_training', 'acme', 'pets', orderCurrent({ training_number: 9 }))
      old.emit('stop_training')
      expect(await begin(orderCurrent({ training_number: 8 }))).to.deep.equal(yes)

      expect(await newest(journal)).to.include({ outcome: null, stopRequested: false })
      expect((await journal.list()).map(({ order }) => order.trainingNumber)).to.deep.equal([8, 7])
      expect(await request('stop')).to.deep.equal(yes)
    })
  })

  it('with one training for an order its predecessor died over', async () => {
    const first = await aNode()
    await first.begin()
    const { id } = await newest(first.journal)
    await closeAll()
    await redis.queues.remove(TRAININGS, id)

    const { begin, journal } = await aNode()
    expect(await begin()).to.deep.equal(yes)

    expect(await journal.count()).to.equal(1)
    expect(await redis.queues.job(TRAININGS, id)).to.include({ state: 'waiting' })
  })
})
