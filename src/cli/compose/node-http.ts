import type { FastifyInstance } from 'fastify'
import type { Closers } from '../../base/closers.js'
import type { Logger } from '../../base/logger.js'
import { createNodeHttp, type NodeSwitches } from '../../nodes/node-http.js'
import type { CliContext } from '../context.js'

/** Of a node of any type, what its REST endpoints act on. */
export type ServedNode = Pick<NodeSwitches, 'setOnline'> & NonNullable<NodeSwitches['backdoor']>

export type NodeHttpParts = {
  readonly node: ServedNode
  readonly closers: Closers
  readonly context: CliContext
  /** More endpoints of this type of node. */
  readonly register?: (server: ReturnType<typeof createNodeHttp>) => void
}

/** Serves the node's REST endpoints; answers the port it listens on. */
export async function startNodeHttp(
  address: { readonly port: number; readonly host: string },
  { node, closers, context, register }: NodeHttpParts,
): Promise<number> {
  const { log, environment } = context
  const server = createNodeHttp(
    {
      setOnline: (online) => node.setOnline(online),
      setDebugLogging: debugSwitch(log),
      ...(environment.USE_BACKDOOR_CONTROLS && { backdoor: node }),
    },
    { log, allowedHosts: [address.host, ...environment.LOOPFLEET_ALLOWED_HOSTS] },
  )
  register?.(server)
  return await listen(server, address, closers)
}

/** Turns the debug lines of a logger on, and off again to what it told before. */
export function debugSwitch(log: Logger): (on: boolean) => void {
  const usual = log.level
  return (on) => {
    log.level = on ? 'debug' : usual
  }
}

/** Lets the endpoints of a node listen until the command ends; answers the port. */
export async function listen(
  server: FastifyInstance,
  address: { readonly port: number; readonly host: string },
  closers: Closers,
): Promise<number> {
  closers.add('node http', () => server.close())
  await server.listen(address)
  const bound = server.server.address()
  return typeof bound === 'object' && bound !== null ? bound.port : address.port
}
