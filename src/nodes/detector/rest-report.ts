import type { Logger } from '../../base/logger/index.js'
import type { LoopRest } from '../../loop/client/index.js'
import { toDetectorReport } from '../../loop/protocol/index.js'
import type { LoopNode, NodeRole } from '../index.js'
import { type ReportedDetector, type ReportOptions, toStatusView } from './report.js'

export type RestReportDeps = {
  readonly node: () => Pick<LoopNode, 'isConnected'>
  readonly detector: ReportedDetector
  readonly rest: Pick<LoopRest, 'postDetectorReport' | 'deploymentTarget'>
  readonly log: Logger
}

/** Current dialect: the status with every n-th heartbeat, the deployment target with each one while the detector is idle. */
export function createRestReport(
  options: ReportOptions & { readonly syncCycles: number },
  deps: RestReportDeps,
): NonNullable<NodeRole['report']> {
  const { organization, project, syncCycles } = options
  const { detector, rest, log } = deps
  let heartbeats = 0
  let hasTarget: boolean | undefined

  async function postStatus(signal: AbortSignal): Promise<void> {
    const report = toDetectorReport(toStatusView(options, detector.condition()))
    try {
      await rest.postDetectorReport(organization, project, report, { signal })
    } catch (error) {
      heartbeats = 0 // the next one sends it
      throw error
    }
  }

  async function readTarget(signal: AbortSignal): Promise<void> {
    const target = await rest.deploymentTarget(organization, project, { signal })
    if (target === undefined && hasTarget !== false) log.warn('the project has no deployment target; the model stays')
    hasTarget = target !== undefined
    if (target !== undefined) detector.setTarget({ id: target.model_uuid, version: target.version })
  }

  return async (causes, signal) => {
    if (!deps.node().isConnected()) return false
    if (causes.has('asked')) heartbeats = 0
    const isHeartbeat = causes.has('heartbeat')
    const isStatusDue = !isHeartbeat || causes.has('change') || heartbeats % syncCycles === 0
    if (isHeartbeat) heartbeats += 1
    let failure: unknown
    // A Loop that refuses the status may still know a target.
    if (isStatusDue) await postStatus(signal).catch((error: unknown) => (failure = error))
    if (isHeartbeat && detector.condition().operationMode === 'idle') await readTarget(signal)
    if (failure !== undefined) throw failure
    return true
  }
}
