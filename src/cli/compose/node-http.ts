import type { FastifyInstance } from 'fastify'
import type { Closers } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { createNodeHttp, type NodeHttpRules, type NodeSwitches } from '../../nodes/index.js'
import type { CliContext } from '../context.js'
import { createLater, type Later } from './later.js'

/** Of a node of any type, what its REST endpoints act on. */
export type ServedNode = Pick<NodeSwitches, 'setOnline'> &
  NonNullable<NodeSwitches['backdoor']> & { whyNotReady(): string | undefined }

/** The REST endpoints of a node, which listen before the node is built; the node is handed in when it has started. */
export type NodeHttp<Node> = {
  /** Null when no endpoints are asked for. */
  readonly port: number | null
  readonly node: Later<Node>
}

export type NodeHttpParts = { readonly closers: Closers; readonly context: CliContext }

export type NodeAddress = { readonly port?: number | undefined; readonly host: string }

/** Opens the endpoints of a node, with more of its type if there are any. */
export async function openNodeHttp(
  address: NodeAddress,
  parts: NodeHttpParts,
  register: (server: FastifyInstance) => void = () => undefined,
): Promise<NodeHttp<ServedNode>> {
  const { log, environment } = parts.context
  return openWithLaterNode<ServedNode>(address, parts, (later, rules) => {
    const server = createNodeHttp(
      {
        setOnline: (online) => later.get().setOnline(online),
        setDebugLogging: debugSwitch(log),
        ...(environment.USE_BACKDOOR_CONTROLS && {
          backdoor: { reset: () => later.get().reset(), sendStatus: () => later.get().sendStatus() },
        }),
      },
      { ...rules, log },
    )
    register(server)
    return server
  })
}

/** Lets a server listen before its node is there, and until everything that was opened later has closed. */
export async function openWithLaterNode<Node extends Pick<ServedNode, 'whyNotReady'>>(
  { port, host }: NodeAddress,
  { closers, context }: NodeHttpParts,
  create: (node: Later<Node>, rules: NodeHttpRules) => FastifyInstance,
): Promise<NodeHttp<Node>> {
  const node = createLater<Node>('The node is starting.')
  if (port === undefined) return { port: null, node }
  const server = create(node, {
    allowedHosts: [host, ...context.environment.LOOPFLEET_ALLOWED_HOSTS],
    whyNotReady: () => (node.isThere() ? node.get().whyNotReady() : 'The node is starting.'),
    ending: context.signal,
  })
  closers.add('node http', () => server.close())
  await server.listen({ port, host })
  const bound = server.server.address()
  return { port: typeof bound === 'object' && bound !== null ? bound.port : port, node }
}

/** Turns the debug lines of a logger on, and off again to what it logged before. */
export function debugSwitch(log: Logger): (on: boolean) => void {
  const usual = log.level
  return (on) => {
    log.level = on ? 'debug' : usual
  }
}
