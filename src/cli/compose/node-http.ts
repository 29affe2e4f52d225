import { createNodeHttp, type NodeSwitches } from '../../nodes/node-http.js'
import type { Closers } from '../closers.js'
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
  const usual = log.level
  const server = createNodeHttp(
    {
      setOnline: (online) => node.setOnline(online),
      setDebugLogging(on) {
        log.level = on ? 'debug' : usual
      },
      ...(environment.USE_BACKDOOR_CONTROLS && { backdoor: node }),
    },
    { log },
  )
  register?.(server)
  closers.add('node http', () => server.close())
  await server.listen(address)
  const bound = server.server.address()
  return typeof bound === 'object' && bound !== null ? bound.port : address.port
}
