import { join } from 'node:path'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createLoopSession, type LoopSession } from '../../src/loop/client/session/session.js'
import { createLoopSocket } from '../../src/loop/client/socket/socket.js'
import { type Answer, answerSchema, type Dialect } from '../../src/loop/protocol/index.js'
import { type LocalLoop, startLocalLoop, type TrainingRequest } from '../../src/mock/loop/index.js'
import { createTrainerNode, type TrainerNode, type TrainerNodeOptions } from '../../src/nodes/trainer/trainer-node.js'
import { createFleet } from '../../src/queue/fleet/fleet.js'
import type { TrainingRecord } from '../../src/queue/trainings/training-record.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { type RedisFixture, startRedisFixture } from '../queue/redis-fixture.js'
import { type Kept, keepTrainings, type PlayedTrainings, playTrainings } from '../queue/trainings/kept.js'

export const ORGANIZATION = 'zauberzeug'
export const PROJECT = 'shapes'
export const UUID_A = '0b0e4c7a-6a3e-4b0a-9a55-0d5c7d4c1c11'
export const UUID_B = '0b0e4c7a-6a3e-4b0a-9a55-0d5c7d4c1c22'

const log = silentLogger()
const identities = [
  { uuid: UUID_A, name: 'Seat A' },
  { uuid: UUID_B, name: 'Seat B' },
]

type NodeOptions = { seats?: 1 | 2; dialect?: Dialect } & Partial<
  Pick<TrainerNodeOptions, 'owner' | 'heartbeatMs' | 'statusAckMs' | 'muted' | 'restartAfterTraining' | 'idleTimeoutMs'>
>

/** Only changes are told, unless a test wants the heart-beat: undefined is the usual one. */
const QUIET = { heartbeatMs: 60_000 }

/** What a test of seats works with: a real Redis, a real local Loop with a project, and trainer nodes. */
export type Seats = {
  readonly redis: RedisFixture
  readonly loop: LocalLoop
  readonly trainings: PlayedTrainings
  /** The same, as a host sees them. */
  readonly kept: Kept
  /** Starts a node and waits until all its seats are idle at the Loop. */
  startNode(options?: NodeOptions): Promise<TrainerNode>
  /** A further life of the node, whose seat may be busy from the start. */
  startAgain(): Promise<TrainerNode>
  order(request?: TrainingRequest): Promise<{ readonly number: number; readonly ack: Answer }>
  /** The unfinished training of a seat; throws when there is none. */
  unfinished(uuid?: string): Promise<TrainingRecord>
  /** The seat as the Loop sees it. */
  shown(uuid?: string): ReturnType<LocalLoop['node']>
  /** Waits until the Loop sees the first seat in a state. */
  settled(state: string): Promise<unknown>
}

/** To be called in a suite; everything is fresh in every test but the Redis server. */
export function useSeats(): Seats {
  const folder = useTemporaryFolder()
  let redis: RedisFixture
  let loop: LocalLoop
  let trainings: PlayedTrainings
  let kept: Kept
  let session: LoopSession
  let nodes: TrainerNode[]
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    trainings = playTrainings(redis)
    kept = keepTrainings(redis)
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

  async function open(options: NodeOptions): Promise<TrainerNode> {
    const { seats = 1, dialect = 'current', ...rest } = { ...QUIET, ...options }
    const models = [{ name: 'small', label: 'Small', description: '' }]
    const profile = { name: 'quick', architecture: 'quick', models }
    const node = createTrainerNode(
      { ...rest, identities: identities.slice(0, seats), profile, dialect },
      {
        createSocket: () => createLoopSocket({ nodeType: 'trainer' }, { session, log }),
        queues: redis.queues,
        trainings,
        fleet: createFleet(redis.link),
        log,
        now: Date.now,
      },
    )
    nodes.push(node)
    await node.start({ signal: new AbortController().signal })
    return node
  }

  const shown = (uuid = UUID_A) => loop.node(uuid)
  return {
    get redis() {
      return redis
    },
    get loop() {
      return loop
    },
    get trainings() {
      return trainings
    },
    get kept() {
      return kept
    },
    async startNode(options = {}) {
      const node = await open(options)
      const expected = identities.slice(0, options.seats ?? 1)
      await until('all seats are idle', () => expected.every(({ uuid }) => shown(uuid)?.state === 'idle'))
      return node
    },
    startAgain: () => open({}),
    async order(request = {}) {
      const answer = await loop.orderTraining(ORGANIZATION, PROJECT, request)
      return { number: answer.training_number, ack: answerSchema.parse(answer.ack) }
    },
    async unfinished(uuid = UUID_A) {
      const record = await kept.trainings.unfinishedOfSeat(uuid)
      if (record === undefined) throw new Error('the seat has no training')
      return record
    },
    shown,
    settled: (state) => until(`the Loop sees ${state}`, () => shown()?.state === state),
  }
}
