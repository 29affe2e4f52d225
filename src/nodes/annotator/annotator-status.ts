import type { Closers } from '../../base/closers.js'
import { messageOf } from '../../base/errors.js'
import { every } from '../../base/every.js'
import type { Logger } from '../../base/logger.js'
import type { LoopSocket } from '../../loop/client/socket.js'
import { type Dialect, nodeEventAckMs, toAnnotatorStatus } from '../../loop/protocol/index.js'
import type { NodeIdentity } from '../identity.js'

export type AnnotatorStatusOptions = {
  readonly identity: NodeIdentity
  readonly dialect: Dialect
  readonly muted?: boolean
  readonly heartbeatMs?: number
  readonly statusAckMs?: number
}

/** Tells the Loop that the annotator is there: on every connect and, in the current dialect, every few seconds. */
export type AnnotatorStatusTeller = {
  tell(): void
  /** Begins to repeat the status, until the owner of the closers ends. */
  start(closers: Closers): void
  unmute(): void
}

export function createAnnotatorStatus(
  options: AnnotatorStatusOptions,
  deps: { readonly socket: () => LoopSocket; readonly onCycle: () => void; readonly log: Logger },
): AnnotatorStatusTeller {
  const { identity, dialect, heartbeatMs = 5000, statusAckMs = nodeEventAckMs.update_annotation_node } = options
  let isMuted = options.muted === true
  let isStopped = false
  let sending: Promise<void> | undefined
  let reconnectedAt = Number.NEGATIVE_INFINITY

  async function send(): Promise<void> {
    const socket = deps.socket()
    if (!socket.connected) return
    try {
      const status = toAnnotatorStatus({ id: identity.uuid, name: identity.name })
      const answer = await socket.emit('update_annotation_node', status, { timeoutMs: statusAckMs })
      if (answer.success) return
      deps.log.warn({ reason: answer.error_msg }, 'the Loop refused the status')
    } catch (error) {
      if (isStopped) return
      deps.log.warn({ reason: messageOf(error) }, 'status not sent')
    }
    if (dialect === 'current') connectAnew(socket)
  }

  // A Loop that refuses whatever we say must not be stormed with logins.
  function connectAnew(socket: LoopSocket): void {
    if (!socket.connected || performance.now() - reconnectedAt < heartbeatMs) return
    reconnectedAt = performance.now()
    socket.reconnect()
  }

  function tell(): void {
    sending ??= send().finally(() => {
      sending = undefined
    })
  }

  async function cycle(): Promise<void> {
    deps.onCycle()
    // In dialect 0.8 an annotator reports that it is there once per connection.
    if (dialect === 'current' && !isMuted) tell()
    await sending
  }

  return {
    tell,
    start(closers) {
      every(heartbeatMs, cycle, closers, 'status')
      closers.add('status', () => {
        isStopped = true
      })
    },
    unmute() {
      isMuted = false
    },
  }
}
