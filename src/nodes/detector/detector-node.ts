import type { Service } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { TargetModel } from '../../detector/index.js'
import type { LoopRest } from '../../loop/client/index.js'
import type { LoopSocket } from '../../loop/client/socket/index.js'
import {
  type DetectorCondition,
  type Dialect,
  detectorTargetSchema,
  nodeEventAckMs,
  parseMessage,
  toDetectorStatus,
} from '../../loop/protocol/index.js'
import { createLoopNode, type LoopNode, type NodeRole } from '../index.js'
import { type ReportedDetector, type ReportOptions, toStatusView } from './report.js'
import { createRestReport } from './rest-report.js'

export type DetectorNodeOptions = ReportOptions & {
  readonly dialect: Dialect
  /** Between the end of one cycle and the next; 5 s by default. */
  readonly cycleMs?: number
  /** Current dialect: the status is sent in every how-many-th cycle; 6 by default. */
  readonly syncCycles?: number
  readonly muted?: boolean
}

export type DetectorNodeDeps = {
  readonly detector: {
    condition(): DetectorCondition
    setTarget(target: TargetModel | null): void
    onChange(callback: () => void): () => void
  }
  readonly rest: Pick<LoopRest, 'postDetectorReport' | 'deploymentTarget'>
  /** A fresh socket, not started; dialect 0.8. */
  readonly createSocket: () => LoopSocket
  readonly log: Logger
}

/** The Loop's side of a detector: reports its status and passes the deployment target on. It outlives any absence of the Loop. */
export type DetectorNode = Service & Pick<LoopNode, 'setOnline' | 'over'>

const SYNC_CYCLES = 6

export function createDetectorNode(options: DetectorNodeOptions, deps: DetectorNodeDeps): DetectorNode {
  const { dialect, cycleMs, syncCycles = SYNC_CYCLES } = options
  const { detector } = deps
  const log = deps.log.child({ component: 'detector-node', detector: options.identity.name })
  const handed = { ...deps, log, node: () => node }
  const node: LoopNode = createLoopNode(
    { ...options, ...(cycleMs !== undefined && { heartbeatMs: cycleMs }) },
    {
      open: (_signal, closers) =>
        closers.add(
          'changes',
          detector.onChange(() => node.sendStatus('change')),
        ),
      report:
        dialect === '0.8' ? createSocketReport(options, handed) : createRestReport({ ...options, syncCycles }, handed),
    },
    // In the current dialect a detector has no socket.
    { ...(dialect === '0.8' && { createSocket: deps.createSocket }), log },
  )
  return node
}

type SocketReportDeps = {
  readonly node: () => Pick<LoopNode, 'isConnected' | 'emitStatus'>
  readonly detector: ReportedDetector
}

/** Dialect 0.8: the status with every heartbeat and on every connect; the answer names the model to run. */
function createSocketReport(options: ReportOptions, deps: SocketReportDeps): NonNullable<NodeRole['report']> {
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
