import { setTimeout as sleep } from 'node:timers/promises'
import type { Socket } from 'socket.io'
import { LoopfleetError, messageOf } from '../../../base/index.js'
import { errorAnswer, okAnswer, ProtocolError } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { RefusedError } from '../refused-error.js'

export type EventHandler = (args: readonly unknown[], socket: Socket) => Promise<unknown>

/** Answers an event of a node by the envelope rules: the payload on success, the sentence of a refusal otherwise. */
export function onEvent(
  context: LoopContext,
  socket: Socket,
  event: string,
  count: number,
  handler: EventHandler,
): void {
  socket.on(event, async (...received: unknown[]) => {
    const ack = received.at(-1)
    const answer = (value: unknown) => {
      if (typeof ack === 'function') ack(value)
    }
    const fault = context.faults.forEvent(event)
    switch (fault?.kind) {
      case 'delay':
        await sleep(fault.delayMs ?? 1000)
        if (!socket.connected) return // it was still on its way when the connection went
        break
      case 'status':
      case 'too-many-requests':
        return answer(errorAnswer(fault.body ?? 'A fault was injected.'))
      case 'refuse':
        return
      case 'cut':
        socket.disconnect(true)
        return
      case 'expire-sessions':
        context.sessions.expireAll()
        break
      default:
    }
    const result = await handle(context, socket, event, count, received, handler)
    if (fault?.kind === 'truncate') return answer(undefined)
    if (fault?.kind === 'lost-answer') socket.disconnect(true)
    else answer(result)
  })
}

async function handle(
  context: LoopContext,
  socket: Socket,
  event: string,
  count: number,
  received: readonly unknown[],
  handler: EventHandler,
): Promise<unknown> {
  const args = received.filter((value) => typeof value !== 'function')
  try {
    if (args.length !== count) throw new RefusedError(422, `${event} takes ${count} arguments, got ${args.length}.`)
    const payload = await handler(args, socket)
    context.changed()
    return okAnswer(payload ?? null)
  } catch (error) {
    if (error instanceof LoopfleetError || error instanceof ProtocolError) {
      context.log.warn({ event, reason: error.message }, 'event refused')
      return errorAnswer(error.message)
    }
    context.log.error({ err: error, event }, 'event failed')
    return errorAnswer(`Internal error: ${messageOf(error)}`)
  }
}
