import type { Closers } from '../../base/closers.js'
import { createLoopSocket, type LoopSocket, type LoopSocketOptions } from '../../loop/client/socket.js'
import type { CliContext } from '../context.js'
import type { LoopClient } from './loop-client.js'

/** What a node is built from besides its own settings. */
export type NodeParts = {
  readonly closers: Closers
  readonly loop: LoopClient
  /** The Loop asks the node to restart. */
  readonly onRestart?: () => void
}

/** Makes fresh sockets for a node of the project that the environment names; they hear when the Loop asks for a restart. */
export function nodeSockets(
  nodeType: LoopSocketOptions['nodeType'],
  { environment, log }: CliContext,
  { loop, onRestart }: Pick<NodeParts, 'loop' | 'onRestart'>,
): { readonly create: () => LoopSocket; readonly first: () => LoopSocket | undefined } {
  let first: LoopSocket | undefined
  const { LOOP_ORGANIZATION: organization, LOOP_PROJECT: project } = environment
  return {
    first: () => first,
    create() {
      const socket = createLoopSocket({ nodeType, organization, project }, { session: loop.session, log })
      if (onRestart !== undefined) socket.onRestart(onRestart)
      first ??= socket
      return socket
    },
  }
}
