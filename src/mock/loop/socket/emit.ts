import { setTimeout as sleep } from 'node:timers/promises'
import type { LoopEvent } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import type { LoopNode } from '../nodes.js'
import { RefusedError } from '../refused-error.js'

const ACK_TIMEOUT_MS = 60_000

/** Sends an event to a node and waits for its ack; undefined when it acknowledged without argument. */
export async function emitToNode(
  context: LoopContext,
  node: LoopNode,
  event: LoopEvent,
  args: readonly unknown[],
): Promise<unknown> {
  const socket = context.sockets.sockets.sockets.get(node.socketId ?? '')
  if (socket === undefined) throw new RefusedError(409, `${node.name} (${node.id}) is not connected.`)
  const fault = context.faults.forEvent(event)
  if (fault?.kind === 'delay') await sleep(fault.delayMs ?? 1000)
  if (fault?.kind === 'refuse') throw new RefusedError(504, `${event} was lost on purpose.`)
  const send = () => socket.timeout(ACK_TIMEOUT_MS).emitWithAck(event, ...args)
  const first = send()
  if (fault?.kind === 'duplicate') send().catch(() => undefined) // only the first ack counts
  if (fault?.kind === 'cut') socket.disconnect(true)
  return await first.catch(() => {
    throw new RefusedError(504, `${node.name} did not acknowledge ${event} within ${ACK_TIMEOUT_MS / 1000} s.`)
  })
}
