import { detectorTargetSchema, nodeEventAckMs, parseMessage, toDetectorStatus } from '../../loop/protocol/index.js'
import type { LoopNode, NodeRole } from '../index.js'
import { type ReportedDetector, type ReportOptions, toStatusView } from './report.js'

export type SocketReportDeps = {
  readonly node: () => Pick<LoopNode, 'isConnected' | 'emitStatus'>
  readonly detector: ReportedDetector
}

/** Dialect 0.8: the status with every heartbeat and on every connect; the answer names the model to run. */
export function createSocketReport(options: ReportOptions, deps: SocketReportDeps): NonNullable<NodeRole['report']> {
  const { organization, project } = options
  const { detector } = deps
  return async () => {
    const condition = detector.condition()
    if (!deps.node().isConnected() || condition.operationMode === 'startup') return false
    const status = toDetectorStatus(toStatusView(options, condition))
    const event = 'update_detector'
    const answer = await deps.node().emitStatus(event, [organization, project, status], nodeEventAckMs[event])
    if (!answer.success) return false
    const target = parseMessage(detectorTargetSchema, answer.payload, `the answer to ${event}`)
    const { target_model_id: id, target_model_version: version } = target
    if (id !== null && id !== '' && version !== null && version !== '') detector.setTarget({ id, version })
    return true
  }
}
