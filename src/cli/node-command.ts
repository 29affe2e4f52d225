import type { Command } from 'commander'
import type { Service } from '../base/index.js'
import type { Logger } from '../base/logger/index.js'
import type { LoopSocket, LoopSocketOptions } from '../loop/client/socket/index.js'
import type { LoopNode, NodeIdentity } from '../nodes/index.js'
import type { LoopClient } from './compose/loop-client.js'
import type { ServedNode } from './compose/node-http.js'
import type { CliContext } from './context.js'

/** The flags of every such node. */
export type NodeFlags = { name: string; uuid?: string; data?: string; port?: number; host?: string }

/** What a node is made of. */
export type NodeMaterial = {
  readonly identity: NodeIdentity
  readonly environment: CliContext['environment']
  readonly loop: LoopClient
  /** A fresh socket, not started. */
  readonly createSocket: () => LoopSocket
  readonly log: Logger
}

/** A node that needs the Loop, but no Redis, as its command sees it. */
type RunnableNode = Service & ServedNode & Pick<LoopNode, 'whenConnected' | 'over'>

/** A type of node that needs an identity and a connection to the Loop; compose/run-node.ts runs it. */
export type NodeCommand<Flags extends NodeFlags = NodeFlags> = {
  /** Of the command, and of the part in the lines that say what it does. */
  readonly command: string
  readonly description: string
  /** Flags of this type alone. */
  readonly addOptions?: (command: Command) => Command
  /** Name at the Loop. */
  readonly defaultName: string
  readonly nodeType: LoopSocketOptions['nodeType']
  /** Makes the node and does not start it; imports what it needs, since the help of all commands is loaded with it. */
  readonly create: (material: NodeMaterial, flags: Flags) => Promise<RunnableNode>
}
