import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import type { FastifyInstance } from 'fastify'
import type { ErrorHandler } from '../base/http/index.js'
import { type BoardQueues, type Fleet, type FleetNode, stepProgressSchema } from '../queue/index.js'
import { type RedisLink, readWriteState } from '../queue/redis/index.js'
import { RequestRefusedError } from './errors.js'

const BOARD_PATH = '/queues'

// Its page brings its configuration and some styles inline; fonts and whatever else is elsewhere stay there.
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"

export type BoardDeps = {
  readonly link: Pick<RedisLink, 'client' | 'url' | 'tryWrites'>
  readonly queues: BoardQueues
  readonly fleet: Pick<Fleet, 'nodes'>
  readonly answerError: ErrorHandler
}

/** bull-board over all queues of the fleet, also those that come later. It can look, not act: acting is for the API. */
export function registerBoard(app: FastifyInstance, deps: BoardDeps): void {
  const serverAdapter = new FastifyAdapter()
  serverAdapter.setBasePath(BOARD_PATH)
  const board = createBullBoard({
    queues: [],
    serverAdapter,
    options: {
      uiConfig: {
        boardTitle: 'loopfleet',
        miscLinks: [{ text: 'Fleet', url: '/' }],
        hideDocsLink: true,
        sortQueues: true,
        jobDetails: { defaultTab: 'Progress' },
        menu: { width: '300px' },
        pollingInterval: { showSetting: true },
      },
    },
  })
  app.register(
    async (scope) => {
      // bull-board would answer every refusal with 500.
      scope.addHook('onRoute', (route) => {
        route.errorHandler = deps.answerError
      })
      scope.addHook('onRequest', async (request, reply) => {
        reply.header('content-security-policy', POLICY)
        // Every queue is read-only already; this also covers what bull-board may learn to change.
        if (request.method !== 'GET' && request.method !== 'HEAD') {
          throw new RequestRefusedError(405, 'Jobs cannot be changed here; stop, abort and retry at /.')
        }
        const { code, problem } = await readWriteState(deps.link)
        // BullMQ reads by scripts, which wait like writes.
        if (code === 'WITHHELD' && problem !== null) throw new RequestRefusedError(503, problem)
        const queues = await deps.queues.takeNew()
        const nodes = queues.length > 0 ? await deps.fleet.nodes() : []
        for (const queue of queues) board.addQueue(toAdapter(queue, nodes))
      })
      await scope.register(serverAdapter.registerPlugin())
    },
    { prefix: BOARD_PATH },
  )
}

type ShownQueue = ConstructorParameters<typeof BullMQAdapter>[0]

function toAdapter(queue: ShownQueue, nodes: readonly FleetNode[]): BullMQAdapter {
  const node = nodes.find(({ uuid }) => queue.name === `node.${uuid}`)
  const adapter = new BullMQAdapter(queue, {
    readOnlyMode: true,
    description: describeQueue(queue.name),
    displayName: node === undefined ? undefined : `node ${node.name}`,
  })
  adapter.setFormatter('progress', toPercent)
  return adapter
}

/** bull-board draws 0…100, the steps report 0…1. */
function toPercent(progress: unknown): unknown {
  const step = stepProgressSchema.safeParse(progress)
  if (!step.success || step.data.progress === null) return progress
  return { ...step.data, progress: Math.round(step.data.progress * 100) }
}

function describeQueue(name: string): string {
  const [first = '', ...rest] = name.split('.')
  if (first === 'trainings') return `trainings that trainer ${rest.join('.')} has to do`
  if (first === 'scans') return `when converter ${rest.join('.')} looks for models`
  if (first === 'node') return 'what this trainer node has to tell the Loop'
  if (rest.at(-1) === 'conversions')
    return `steps of conversions that host ${first} has claimed; those that wait are at /`
  return `steps of kind ${rest.at(-1)} on host ${first}`
}
