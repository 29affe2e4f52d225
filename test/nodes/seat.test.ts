import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger.js'
import { createLoopSession, type LoopSession } from '../../src/loop/client/session.js'
import { createLoopSocket } from '../../src/loop/client/socket.js'
import { answerSchema, type Dialect } from '../../src/loop/protocol/index.js'
import { type LocalLoop, startLocalLoop, type TrainingRequest } from '../../src/mock/loop/index.js'
import { createNodeHttp } from '../../src/nodes/node-http.js'
import { createTrainerNode, type TrainerNode } from '../../src/nodes/trainer/trainer-node.js'
import { type Control, createControl } from '../../src/queue/control.js'
import { createFleet } from '../../src/queue/fleet.js'
import type { MetricsJob } from '../../src/queue/job-schemas.js'
import { createJournal, type Journal, type TrainingRecord } from '../../src/queue/journal.js'
import { queueNames } from '../../src/queue/names.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { hostA } from '../queue/orders.js'
import { type RedisFixture, startRedisFixture } from '../queue/redis-fixture.js'

const log = silentLogger()
const ORGANIZATION = 'zauberzeug'
const PROJECT = 'shapes'
const UUID_A = '0b0e4c7a-6a3e-4b0a-9a55-0d5c7d4c1c11'
const UUID_B = '0b0e4c7a-6a3e-4b0a-9a55-0d5c7d4c1c22'
const TRAININGS = queueNames.trainings('quick')

describe('a seat', () => {
  const folder = useTemporaryFolder()
  let redis: RedisFixture
  let loop: LocalLoop
  let journal: Journal
  let control: Control
  let session: LoopSession
  let nodes: TrainerNode[]
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    journal = createJournal(redis.link)
    control = createControl(redis.link, journal, redis.queues)
    loop = await startLocalLoop({ folder: join(folder.path, 'loop') }, { log })
    await loop.generate({ project_name: PROJECT, complete: 2, box_categories: 1 })
    session = createLoopSession({ host: loop.host }, { log })
    nodes = []
  })
  afterEach(async () => {
    for (const node of nodes) await node.stop()
    session.close()
    await loop.close()
  })

  async function startNode(
    options: { seats?: 1 | 2; dialect?: Dialect; heartbeatMs?: number; statusAckMs?: number } = {},
  ): Promise<TrainerNode> {
    const { seats = 1, dialect = 'current', heartbeatMs = 60_000, statusAckMs } = options
    const all = [
      { uuid: UUID_A, name: 'Seat A' },
      { uuid: UUID_B, name: 'Seat B' },
    ]
    const models = [{ name: 'small', label: 'Small', description: '' }]
    const profile = { name: 'quick', architecture: 'quick', models }
    const node = createTrainerNode(
      { identities: all.slice(0, seats), profile, dialect, heartbeatMs, statusAckMs },
      {
        createSocket: () => createLoopSocket({ nodeType: 'trainer' }, { session, log }),
        queues: redis.queues,
        journal,
        control,
        fleet: createFleet(redis.link),
        log,
        now: Date.now,
      },
    )
    nodes.push(node)
    await node.start({ signal: new AbortController().signal })
    await until('all seats are idle at the Loop', () =>
      all.slice(0, seats).every(({ uuid }) => loop.node(uuid)?.state === 'idle'),
    )
    return node
  }

  const order = async (request: TrainingRequest = {}) => {
    const answer = await loop.orderTraining(ORGANIZATION, PROJECT, request)
    return { number: answer.training_number, ack: answerSchema.parse(answer.ack) }
  }
  const unfinished = async (uuid = UUID_A): Promise<TrainingRecord> => {
    const record = await journal.unfinishedOfSeat(uuid)
    if (record === undefined) throw new Error('the seat has no training')
    return record
  }
  const shown = (uuid = UUID_A) => loop.node(uuid)
  const historyOf = (uuid = UUID_A) => shown(uuid)?.history ?? []
  const settled = (state: string) => until(`the Loop sees ${state}`, () => shown()?.state === state)

  describe('that is given an order', () => {
    it('acks when Redis has the training and its job, and shows it', async () => {
      await startNode()

      const { number, ack } = await order()

      expect(ack).to.deep.equal({ success: true, error_msg: null, payload: null })
      const record = await unfinished()
      expect(record).to.include({ trainer: 'quick', state: 'initialized' })
      expect(record.order).to.include({ organization: ORGANIZATION, project: PROJECT, trainingNumber: number })
      expect(await redis.queues.job(TRAININGS, record.id)).to.include({ state: 'waiting' })
      await settled('initialized')
    })

    for (const [what, request, field] of [
      ['a wrong category', { dialect: 'current', config: { categories: [{ id: 7, name: 'x', type: 'box' }] } }, 'id'],
      ['no number', { config: { training_number: 'seven' } }, 'training_number'],
      ['no categories', { config: { categories: null } }, 'categories'],
      ['broken hyperparameters', { dialect: 'current', config: { hyperparameters: 5 } }, 'hyperparameters'],
      ['a resolution that is none', { dialect: '0.8', config: { resolution: 'big' } }, 'resolution'],
      ['an empty base model', { dialect: '0.8', config: { id: '' } }, 'id'],
    ] as const) {
      it(`refuses one with ${what} by an envelope that names the field`, async () => {
        await startNode()

        const { ack } = await order(request as TrainingRequest)

        expect(ack).to.include({ success: false, payload: null })
        expect(ack.error_msg)
          .to.match(/^begin_training: /)
          .and.include(field)
        expect(await journal.count()).to.equal(0)
        expect(await redis.queues.counts(TRAININGS)).to.include({ waiting: 0 })
      })
    }

    it('refuses another one while it is busy, and says with what', async () => {
      await startNode()
      const { number } = await order({ trainer: UUID_A })

      const { ack } = await order({ trainer: UUID_A })

      expect(ack.success).to.equal(false)
      expect(ack.error_msg).to.include('"Seat A" is busy').and.include(`${ORGANIZATION}/${PROJECT}#${number}`)
      expect(await journal.count()).to.equal(1)
    })

    it('acks the same order again without another training', async () => {
      await startNode()
      const { number } = await order()
      const { id } = await unfinished()

      const { ack } = await order({ training_number: number })

      expect(ack.success).to.equal(true)
      expect((await unfinished()).id).to.equal(id)
      expect(await redis.queues.counts(TRAININGS)).to.include({ waiting: 1 })
    })

    it('acks it once more just after its end, and takes it for done', async () => {
      await startNode()
      const { number } = await order()
      const { id } = await unfinished()
      await redis.queues.remove(TRAININGS, id)
      await journal.finish(id, null, { outcome: 'completed' })

      const { ack } = await order({ training_number: number })

      expect(ack.success).to.equal(true)
      expect(await journal.unfinishedOfSeat(UUID_A)).to.equal(undefined)
      expect(await redis.queues.job(TRAININGS, id)).to.equal(undefined)
    })

    it('refuses one that another seat has, naming the holder', async () => {
      await startNode({ seats: 2 })
      const { number } = await order({ trainer: UUID_A })

      const { ack } = await order({ trainer: UUID_B, training_number: number })

      expect(ack.success).to.equal(false)
      expect(ack.error_msg).to.include('Seat A').and.include(UUID_A)
    })

    it('takes one of its own beside a busy seat', async () => {
      await startNode({ seats: 2 })
      await order({ trainer: UUID_A })

      const { ack } = await order({ trainer: UUID_B })

      expect(ack.success).to.equal(true)
      expect((await unfinished(UUID_B)).seat.name).to.equal('Seat B')
    })

    it('queues it after a restart when it died between the journal and the queue', async () => {
      const first = await startNode()
      await order()
      const { id } = await unfinished()
      await first.stop()
      await redis.queues.remove(TRAININGS, id)

      await createAgain()

      await until('the job is there', async () => (await redis.queues.job(TRAININGS, id)) !== undefined)
      await settled('initialized')
    })
  })

  /** A further life of the node, whose seat may be busy from the start. */
  async function createAgain(): Promise<void> {
    const node = createTrainerNode(
      {
        identities: [{ uuid: UUID_A, name: 'Seat A' }],
        profile: { name: 'quick', architecture: null, models: [] },
        dialect: 'current',
      },
      {
        createSocket: () => createLoopSocket({ nodeType: 'trainer' }, { session, log }),
        queues: redis.queues,
        journal,
        control,
        fleet: createFleet(redis.link),
        log,
        now: Date.now,
      },
    )
    nodes.push(node)
    await node.start({ signal: new AbortController().signal })
  }

  describe('that is asked to end its training', () => {
    for (const kind of ['stop', 'abort'] as const) {
      const ask = (number: number) =>
        kind === 'stop'
          ? loop.stopTraining(ORGANIZATION, PROJECT, number)
          : loop.abortTraining(ORGANIZATION, PROJECT, number)

      it(`acks the request to ${kind} as soon as it is durable, whether or not a worker has heard of it`, async () => {
        await startNode()
        const { number } = await order()
        const { id } = await unfinished()
        const run = await journal.beginRun(id, hostA)
        await journal.update(id, run, { state: 'running', best: { epoch: 1 } })
        // The worker that has it is deaf.
        let isTaken = false
        const worker = redis.queues.consume(
          TRAININGS,
          (_job, signal) => {
            isTaken = true
            return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
          },
          { schema: { safeParse: (data: unknown) => ({ success: true, data }) } as never },
        )
        await until('a worker has it', () => isTaken)

        const { ack } = await ask(number)

        expect(answerSchema.parse(ack).success).to.equal(true)
        expect(await control.pending(id)).to.equal(kind)
        expect((await unfinished()).stopRequested).to.equal(true)
        await worker.close({ cancel: new Error('over') })
      })

      it(`ends a training that waits for a host at once on ${kind}`, async () => {
        await startNode()
        const { number } = await order()
        const { id } = await unfinished()

        const { ack } = await ask(number)

        expect(answerSchema.parse(ack).success).to.equal(true)
        expect((await journal.load(id))?.outcome).to.equal('aborted')
        await settled('idle')
      })
    }

    it('acks a stop also when it has none', async () => {
      await startNode()
      const { number } = await order()
      const { id } = await unfinished()
      loop.addFault({ match: { event: 'update_trainer' }, kind: 'delay', delayMs: 1000 })
      await journal.finish(id, null, { outcome: 'completed' })

      const { ack } = await loop.stopTraining(ORGANIZATION, PROJECT, number)

      expect(answerSchema.parse(ack).success).to.equal(true)
    })
  })

  describe('tells the Loop how it is', () => {
    it('within 100 ms of a change in the journal', async () => {
      await startNode()
      await order()
      const { id } = await unfinished()
      await settled('initialized')
      const run = await journal.beginRun(id, hostA)
      const delays: number[] = []

      for (const state of ['data_downloading', 'data_downloaded', 'running', 'training_finished'] as const) {
        const before = performance.now()
        await journal.update(id, run, { state })
        const signal = AbortSignal.timeout(5000)
        await loop.until(() => shown()?.state === state, { signal })
        delays.push(performance.now() - before)
      }

      expect(Math.min(...delays)).to.be.below(100)
      expect([...delays].sort((a, b) => a - b)[1]).to.be.below(100) // one slow moment of a busy machine is allowed
    })

    it('progress and errors too', async () => {
      await startNode()
      await order()
      const { id } = await unfinished()
      const run = await journal.beginRun(id, hostA)

      await journal.update(id, run, { state: 'running', progress: 0.25, errors: { run_training: 'it died' } })

      await until('both are seen', () => shown()?.progress === 0.25 && shown()?.errors.run_training === 'it died')
    })

    it('on every connect', async () => {
      await startNode()
      const before = shown()?.lastSeen ?? 0

      loop.dropSockets()
      await until('it is away', () => shown()?.connected === false)
      await until('it is back and has spoken', () => shown()?.connected === true && (shown()?.lastSeen ?? 0) > before)

      expect(shown()?.state).to.equal('idle')
    })

    it('what has changed while the connection was lost', async () => {
      await startNode()
      await order()
      const { id } = await unfinished()
      loop.addFault({ match: { event: 'connect' }, kind: 'refuse', times: 2 })
      loop.dropSockets()
      await until('it is away', () => shown()?.connected === false)

      await journal.update(id, await journal.beginRun(id, hostA), { state: 'running' })

      await settled('running')
    })

    it('from time to time, also when nothing changes', async () => {
      await startNode({ heartbeatMs: 50 })
      const before = shown()?.lastSeen ?? 0

      await until('it was heard again', () => (shown()?.lastSeen ?? 0) > before)
    })

    it('nothing of the trainings of others, and at once of its own that was retried', async () => {
      await startNode({ seats: 2 })
      await order({ trainer: UUID_A })
      const { id } = await unfinished()
      const run = await journal.beginRun(id, hostA)
      await settled('initialized')
      const heardOfB = shown(UUID_B)?.lastSeen

      for (let step = 1; step <= 5; step += 1) await journal.update(id, run, { state: 'running', progress: step / 5 })
      await until('the last change is seen', () => shown()?.progress === 1)
      expect(shown(UUID_B)?.lastSeen).to.equal(heardOfB)

      await journal.finish(id, run, { outcome: 'failed', errors: { run_training: 'it died' } })
      await settled('idle')
      await journal.reopen(id)
      await settled('running')
    })

    it('that it is idle when its training has ended', async () => {
      await startNode()
      await order()
      const { id } = await unfinished()

      await journal.finish(id, null, { outcome: 'completed' })

      await settled('idle')
      expect(historyOf().some(({ errors }) => Object.keys(errors).length > 0)).to.equal(false)
    })

    it('why its training failed, once, and then that it is idle', async () => {
      await startNode()
      await order()
      const { id } = await unfinished()
      const run = await journal.beginRun(id, hostA)

      await journal.finish(id, run, { outcome: 'failed', errors: { run_training: 'The trainer exited with code 3.' } })

      await settled('idle')
      const last = historyOf().slice(-2)
      expect(last.map(({ state, errors }) => ({ state, errors }))).to.deep.equal([
        { state: 'ready_for_cleanup', errors: { run_training: 'The trainer exited with code 3.' } },
        { state: 'idle', errors: {} },
      ])
    })

    it('why its training failed when the Loop is back, if it was away', async () => {
      await startNode()
      await order()
      const { id } = await unfinished()
      const run = await journal.beginRun(id, hostA)
      const outage = loop.addFault({ match: { event: 'connect' }, kind: 'refuse' })
      loop.dropSockets()
      await until('it is away', () => shown()?.connected === false)

      await journal.finish(id, run, { outcome: 'failed', errors: { run_training: 'it died' } })
      await until('it has noticed', async () => (await journal.load(id))?.outcome === 'failed')
      loop.clearFaults(outage.id)

      await settled('idle')
      expect(historyOf().map(({ errors }) => errors)).to.deep.include({ run_training: 'it died' })
    })

    it('its state in the words of dialect 0.8 when it speaks that', async () => {
      await startNode({ dialect: '0.8' })
      await order()
      const { id } = await unfinished()

      await journal.update(id, await journal.beginRun(id, hostA), { state: 'confusion_matrix_syncing' })

      await settled('confusion_matrix_syncing')
      expect(shown()?.dialect).to.equal('0.8')
    })
  })

  describe('whose status is not taken', () => {
    it('connects anew when it is refused', async () => {
      await startNode({ heartbeatMs: 200 })
      const socket = shown()?.socketId
      loop.addFault({ match: { event: 'update_trainer' }, kind: 'status', body: 'not like this', times: 1 })

      await until('it is there with another socket', () => shown()?.socketId !== socket && shown()?.connected === true)
    })

    it('connects anew when it is not answered', async () => {
      await startNode({ heartbeatMs: 100, statusAckMs: 150 })
      const socket = shown()?.socketId
      loop.addFault({ match: { event: 'update_trainer' }, kind: 'refuse', times: 1 })

      await until('it is there with another socket', () => shown()?.socketId !== socket && shown()?.connected === true)
    })

    it('does not storm a Loop that refuses whatever it says', async () => {
      await startNode({ heartbeatMs: 150 })
      const fault = loop.addFault({ match: { event: 'update_trainer' }, kind: 'status', body: 'never' })
      const startedAt = performance.now()
      const refusals = async () => {
        const answer: unknown = await (await fetch(`${loop.url}/api/local/faults`)).json()
        const { faults } = answer as { faults: { id: number; done: number }[] }
        return faults.find(({ id }) => id === fault.id)?.done ?? 0
      }
      await until('it was refused a few times', async () => (await refusals()) >= 4)

      // Two per heartbeat: the heartbeat's own, and the one on the new connection.
      const beats = (performance.now() - startedAt) / 150
      expect(await refusals()).to.be.at.most(2 * Math.ceil(beats) + 2)
    })
  })

  describe('passes metrics on', () => {
    const matrix = { tp: 3, fp: 1, fn: 0 }

    async function aPoint(): Promise<MetricsJob> {
      await startNode()
      await order()
      const { id, order: taken } = await unfinished()
      const run = await journal.beginRun(id, hostA)
      const category = taken.categories[0]?.id ?? ''
      const counts = { trainImageCount: 1, testImageCount: 1, hyperparameters: { resolution: 640 } }
      const point = { confusionMatrix: { [category]: matrix }, epoch: 4, ...counts }
      const seat = { uuid: UUID_A, name: 'Seat A' }
      return { trainingId: id, run, seat, organization: ORGANIZATION, project: PROJECT, sequence: 1, point }
    }
    const send = (job: MetricsJob, backOff = { firstMs: 20, maxMs: 50 }) =>
      redis.queues.runJob(queueNames.node(UUID_A), 'sync-metrics', job, { id: 'm1', backOff })

    it('and says done when the Loop has acked them', async () => {
      const job = await aPoint()

      expect(await send(job)).to.deep.equal({ acked: true })

      const [training] = loop.trainings()
      expect(training?.points).to.have.lengthOf(1)
      expect(training?.points[0]).to.deep.include({ confusion_matrix: job.point.confusionMatrix, best_epoch: 4 })
    })

    it('again when the Loop refused them', async () => {
      const job = await aPoint()
      loop.addFault({ match: { event: 'update_training' }, kind: 'status', body: 'not now', times: 2 })

      await send(job)

      expect(loop.effects({ kind: 'metrics' })).to.have.lengthOf(1)
    })

    it('not for a run that is superseded', async () => {
      const job = await aPoint()
      await journal.beginRun(job.trainingId, hostA)

      await until('it was refused', async () => {
        await send(job).catch(() => undefined)
        return (await redis.queues.job(queueNames.node(UUID_A), 'm1'))?.state === 'failed'
      })

      expect(loop.effects({ kind: 'metrics' })).to.have.lengthOf(0)
    })

    it('in its next life when the Loop is away and the node goes down', async () => {
      const job = await aPoint()
      const outage = loop.addFault({ match: { event: 'connect' }, kind: 'refuse' })
      loop.dropSockets()
      await until('it is away', () => shown()?.connected === false)
      const sent = send(job)
      await until('the seat has it', async () => redis.queues.isActive(queueNames.node(UUID_A), 'm1'))

      await nodes[0]?.stop()
      expect((await redis.queues.job(queueNames.node(UUID_A), 'm1'))?.state).to.equal('waiting')
      loop.clearFaults(outage.id)
      await createAgain()

      expect(await sent).to.deep.equal({ acked: true })
    })
  })

  describe('switched by its REST endpoint', () => {
    it('leaves the Loop on off and comes back on on', async () => {
      const node = await startNode()
      const http = createNodeHttp({ setOnline: node.setOnline, setDebugLogging: () => undefined }, { log })
      const put = (payload: string) => http.inject({ method: 'PUT', url: '/socketio', payload: Buffer.from(payload) })

      expect((await put('off')).json()).to.equal('off')
      await until('it is away', () => shown()?.connected === false)

      expect((await put('on')).json()).to.equal('on')
      await until('it is back', () => shown()?.connected === true && shown()?.state === 'idle')
      expect((await order()).ack.success).to.equal(true)
      await http.close()
    })

    it('stays as it is when told twice', async () => {
      const node = await startNode()
      const socket = shown()?.socketId

      await node.setOnline(true)
      expect(shown()).to.include({ socketId: socket, connected: true })

      await node.setOnline(false)
      await node.setOnline(false)
      await node.setOnline(true)
      await until('it is back', () => shown()?.connected === true)
    })

    it('keeps away from the Loop while it is off, whatever happens', async () => {
      const node = await startNode({ heartbeatMs: 20 })
      await order()
      const { id } = await unfinished()
      await node.setOnline(false)
      await until('it is away', () => shown()?.connected === false)
      const heard = shown()?.lastSeen

      await journal.update(id, await journal.beginRun(id, hostA), { state: 'running' })
      await journal.update(id, null, { progress: 0.5 })

      expect(shown()).to.include({ connected: false, lastSeen: heard })
      await node.setOnline(true)
      await settled('running')
    })
  })

  it('is listed in the fleet', async () => {
    await startNode({ seats: 2 })

    const nodesOfFleet = await createFleet(redis.link).nodes()

    expect(nodesOfFleet.map(({ uuid, name, type, trainer }) => ({ uuid, name, type, trainer }))).to.have.deep.members([
      { uuid: UUID_A, name: 'Seat A', type: 'trainer', trainer: 'quick' },
      { uuid: UUID_B, name: 'Seat B', type: 'trainer', trainer: 'quick' },
    ])
  })
})
