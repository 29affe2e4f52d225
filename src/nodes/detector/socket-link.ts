import type { Logger } from '../../base/logger.js'
import type { LoopSocket } from '../../loop/client/socket.js'
import {
  type DetectorCondition,
  detectorTargetSchema,
  nodeEventAckMs,
  parseMessage,
  toDetectorStatus,
} from '../../loop/protocol/index.js'
import { LoopRefusedError } from '../errors.js'
import type { NodeIdentity } from '../identity.js'
import type { LoopLink } from './link.js'
import { toStatusView } from './status-view.js'

export type SocketLinkOptions = {
  readonly identity: NodeIdentity
  readonly organization: string
  readonly project: string
  readonly modelFormat: string
}

export type SocketLinkDeps = {
  readonly detector: {
    condition(): DetectorCondition
    setTarget(target: { readonly id: string; readonly version: string } | null): void
  }
  readonly createSocket: () => LoopSocket
  readonly onRestart: () => void
  readonly log: Logger
}

/** Dialect 0.8: a status in every cycle and on every connect, whose answer names the model to run. */
export function createSocketLink(options: SocketLinkOptions, deps: SocketLinkDeps): LoopLink {
  const { organization, project } = options
  const { detector, log } = deps
  let socket: LoopSocket | undefined

  async function tellStatus(signal: AbortSignal): Promise<void> {
    const condition = detector.condition()
    // Not connected is no trouble of its own: the socket says so, and tells the status when it is.
    if (socket?.connected !== true || condition.operationMode === 'startup') return
    const status = toDetectorStatus(toStatusView(options, condition))
    const emitOptions = { timeoutMs: nodeEventAckMs.update_detector, signal }
    const answer = await socket.emit('update_detector', organization, project, status, emitOptions)
    if (!answer.success) throw new LoopRefusedError('update_detector', answer.error_msg)
    const target = parseMessage(detectorTargetSchema, answer.payload, 'the answer to update_detector')
    const { target_model_id: id, target_model_version: version } = target
    if (id === null || id === '' || version === null || version === '') return
    detector.setTarget({ id, version })
  }

  return {
    async open(signal) {
      const fresh = deps.createSocket()
      socket = fresh
      fresh.onRestart(deps.onRestart)
      fresh.onConnect(() => {
        tellStatus(signal).catch((err: unknown) => log.debug({ err }, 'status on connect not sent'))
      })
      await fresh.start({ signal })
    },
    cycle: tellStatus,
    tellStatus,
    async close() {
      const was = socket
      socket = undefined
      await was?.stop()
    },
  }
}
