import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Logger } from '../../base/logger/index.js'
import { createSwitchServer, type NodeHttpRules, registerNodeSwitches, toOnOff } from '../index.js'
import type { ConverterNode } from './converter-node.js'

export type ConverterHttpOptions = NodeHttpRules & {
  /** Turns `PUT /check_state` and `POST /step` on; for tests only (USE_BACKDOOR_CONTROLS). */
  readonly backdoor: boolean
}

export type ConverterHttpDeps = {
  readonly node: Pick<ConverterNode, 'setOnline' | 'setChecking' | 'step' | 'isBusy'>
  readonly setDebugLogging: (on: boolean) => void
  readonly log: Logger
}

/** How long switching the checks off waits for active work. */
const BUSY_MS = 2_500
const POLL_MS = 50

/** The endpoints of the Python library's converter; the caller listens and closes. */
export function createConverterHttp(options: ConverterHttpOptions, deps: ConverterHttpDeps): FastifyInstance {
  const { node, log } = deps
  const server = createSwitchServer(options, deps)
  registerNodeSwitches(server, { ...deps, setOnline: node.setOnline }, { log })
  if (!options.backdoor) return server

  let isStepping = false
  server.put('/check_state', async (request, reply) => {
    const on = toOnOff(request.body)
    if (on === undefined) return reply.code(400).send({ detail: 'Invalid state' })
    node.setChecking(on)
    if (!on && !(await isQuiet(node))) return reply.code(409).send({ detail: 'The converter is still busy.' })
    return reply.type('application/json').send(JSON.stringify(on ? 'on' : 'off'))
  })
  server.post('/step', async (_request, reply) => {
    const refused = { detail: 'The converter is running.' }
    if (isStepping) return reply.code(409).send(refused)
    isStepping = true // set before the first await, or two simultaneous requests would both pass
    try {
      if (await node.isBusy()) return reply.code(409).send(refused)
      await node.step()
    } finally {
      isStepping = false
    }
    return reply.type('application/json').send('null')
  })
  return server
}

async function isQuiet(node: Pick<ConverterNode, 'isBusy'>): Promise<boolean> {
  const giveUpAt = performance.now() + BUSY_MS
  while (await node.isBusy()) {
    if (performance.now() > giveUpAt) return false
    await sleep(POLL_MS)
  }
  return true
}
