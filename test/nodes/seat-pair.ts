import type { Socket } from 'socket.io'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createLoopSession } from '../../src/loop/client/session/session.js'
import { createLoopSocket, type LoopSocket } from '../../src/loop/client/socket/socket.js'
import { type Answer, answerSchema, okAnswer } from '../../src/loop/protocol/index.js'
import { createTrainerNode } from '../../src/nodes/trainer/trainer-node.js'
import { createFleet } from '../../src/queue/fleet/fleet.js'
import type { IntentKind } from '../../src/queue/records/record-schema.js'
import type { TrainingRecord } from '../../src/queue/trainings/training-record.js'
import type { TrainingsOfFleet } from '../../src/queue/trainings/trainings-of-fleet.js'
import { type SocketLoop, startSocketLoop } from '../helpers/socket-loop.js'
import { until } from '../helpers/until.js'
import { hostA } from '../queue/orders.js'
import { type RedisFixture, startRedisFixture } from '../queue/redis-fixture.js'
import { type PlayedTrainings, playTrainings } from '../queue/trainings/kept.js'
import { orderCurrent } from './bad-orders.js'

const log = silentLogger()
export const seatA = { uuid: '0b0e4c7a-6a3e-4b0a-9a55-0d5c7d4c1c11', name: 'Seat A' }
export const seatB = { uuid: '0b0e4c7a-6a3e-4b0a-9a55-0d5c7d4c1c22', name: 'Seat B' }
export const yes: Answer = { success: true, error_msg: null, payload: null }

type NodeSettings = {
  /** Before Redis gets an order. */
  readonly slow?: Promise<unknown>
  /** Before the seat gets the answer of Redis to an order. */
  readonly late?: Promise<unknown>
  readonly acksEnd?: () => boolean
}

/** A node with two seats in every test of a suite, the Loop's part played by the test over a real socket. */
export function useSeatPair() {
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
  async function aNode({ slow, late, acksEnd = () => true }: NodeSettings = {}) {
    const peers = new Map<string, Socket>()
    const loop: SocketLoop = await startSocketLoop({
      onConnect(socket) {
        socket.on('update_trainer', (status: { id: string; state: string }, ack: (answer: Answer) => void) => {
          const isFirst = !peers.has(status.id)
          peers.set(status.id, socket)
          if (isFirst || status.state !== 'idle' || acksEnd()) ack(okAnswer())
        })
      },
    })
    closers.push(() => loop.close())
    const session = createLoopSession({ host: loop.host }, { log })
    closers.push(() => session.close())
    const trainings = playTrainings(redis)
    const accept: TrainingsOfFleet['accept'] = async (order) => {
      await slow
      const accepted = await trainings.accept(order)
      await late
      return accepted
    }
    const sockets: LoopSocket[] = []
    const node = createTrainerNode(
      {
        identities: [seatA, seatB],
        profile: { name: 'quick', architecture: null, models: [] },
        dialect: 'current',
        heartbeatMs: 60_000,
        statusAckMs: 2_000,
      },
      {
        createSocket() {
          const socket = createLoopSocket({ nodeType: 'trainer', reconnectMaxMs: 50 }, { session, log })
          sockets.push(socket)
          return socket
        },
        queues: redis.queues,
        trainings: { ...trainings, accept },
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
      trainings,
      begin: (config: unknown = orderCurrent(), seat = seatA) => ask('begin_training', ['acme', 'pets', config], seat),
      request: (kind: IntentKind, seat = seatA) => ask(`${kind}_training`, [], seat),
    }
  }

  const waiting = async () => (await playTrainings(redis).countWaiting()).quick ?? 0
  const newest = async (trainings: PlayedTrainings): Promise<TrainingRecord> => {
    const [record] = await trainings.list({ limit: 1 })
    if (record === undefined) throw new Error('there is no training')
    return record
  }
  /** A host has taken it, and runs it until it is told otherwise. */
  async function taken(trainings: PlayedTrainings): Promise<TrainingRecord> {
    const { id } = await newest(trainings)
    await trainings.beginRun(id, hostA)
    return newest(trainings)
  }
  async function ended(
    trainings: PlayedTrainings,
    outcome: 'completed' | 'aborted' | 'failed',
  ): Promise<TrainingRecord> {
    const { id } = await newest(trainings)
    await trainings.finish(id, null, { outcome })
    return newest(trainings)
  }
  const endAcked = (trainings: PlayedTrainings) =>
    until('the Loop has acknowledged its end', async () => (await newest(trainings)).endAckedAt !== null)

  return { aNode, newest, taken, ended, endAcked, waiting, closeAll, queues: () => redis.queues }
}
