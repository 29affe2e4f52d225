import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import type { FastifyInstance } from 'fastify'
import type { BoardQueues } from '../queue/board-queues.js'
import { type ErrorAnswer, RequestRefusedError } from './errors.js'

export const BOARD_PATH = '/queues'

// Its page brings its configuration and some styles inline; fonts and whatever else is elsewhere stay there.
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"

export type BoardDeps = {
  readonly queues: BoardQueues
  readonly toAnswer: (error: unknown) => ErrorAnswer
}

/** bull-board over all queues of the fleet, also those that come later. It can look, not act: acting is the journal's. */
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
        menu: { width: '300px' },
        pollingInterval: { showSetting: true },
      },
    },
  })
  app.register(
    async (scope) => {
      // bull-board would answer every refusal with 500.
      scope.addHook('onRoute', (route) => {
        route.errorHandler = (error, _request, reply) => {
          const { status, body } = deps.toAnswer(error)
          return reply.code(status).send(body)
        }
      })
      scope.addHook('onRequest', async (request, reply) => {
        reply.header('content-security-policy', POLICY)
        // Every queue is read-only already; this also covers what bull-board may learn to change.
        if (request.method !== 'GET' && request.method !== 'HEAD') {
          throw new RequestRefusedError(405, 'Jobs cannot be changed here; stop, abort and retry trainings at /.')
        }
        for (const queue of await deps.queues.takeNew()) {
          board.addQueue(new BullMQAdapter(queue, { readOnlyMode: true, description: describeQueue(queue.name) }))
        }
      })
      await scope.register(serverAdapter.registerPlugin())
    },
    { prefix: BOARD_PATH },
  )
}

function describeQueue(name: string): string {
  const [first = '', ...rest] = name.split('.')
  if (first === 'trainings') return `trainings that trainer ${rest.join('.')} has to do`
  if (first === 'node') return 'what this trainer node has to tell the Loop'
  return `steps of kind ${rest.at(-1)} on host ${first}`
}
