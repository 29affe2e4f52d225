import type { Closers } from '../../base/index.js'
import { createLoopSocket, type LoopSocket, type LoopSocketOptions } from '../../loop/client/socket/index.js'
import type { CliContext } from '../context.js'
import type { LoopClient } from './loop-client.js'

/** What a node is built from besides its own settings. */
export type NodeParts = { readonly closers: Closers; readonly loop: LoopClient }

/** Makes fresh sockets for a node of the project that the environment names. */
export function nodeSockets(
  nodeType: LoopSocketOptions['nodeType'],
  { environment, log }: CliContext,
  { loop }: Pick<NodeParts, 'loop'>,
): () => LoopSocket {
  const { LOOP_ORGANIZATION: organization, LOOP_PROJECT: project } = environment
  return () => createLoopSocket({ nodeType, organization, project }, { session: loop.session, log })
}
