import { z } from 'zod'
import { type NodeState, nodeStates, type OperationMode, operationModes } from './enums.js'
import { orNull } from './optional.js'

const shared = {
  name: z.string(),
  model_format: z.string(),
  state: z.enum(nodeStates),
  errors: z.record(z.string(), z.string()),
  uptime: z.number().describe('Seconds since the start.'),
  current_model: orNull(z.string()).describe('Version.'),
  target_model: orNull(z.string()).describe('Version.'),
  operation_mode: z.enum(operationModes),
}

/** Third argument of `update_detector` (dialect 0.8). */
export const detectorStatusSchema = z.object({ id: z.string().min(1), ...shared })
export type DetectorStatus = z.infer<typeof detectorStatusSchema>

/** Body of `POST …/detectors` (current dialect). */
export const detectorReportSchema = z.object({
  uuid: z.string().min(1),
  ...shared,
  node_version: orNull(z.string()).describe('Version of the program, as its operator names it (from 0.27.0 on).'),
})
export type DetectorReport = z.infer<typeof detectorReportSchema>

/** Payload of the ack to `update_detector`: the model to run. An empty id means: no update. */
export const detectorTargetSchema = z.looseObject({
  target_model_version: z.string().nullable(),
  target_model_id: z.string().nullable(),
})
export type DetectorTarget = z.infer<typeof detectorTargetSchema>

/** How a detector is, in our words. */
export type DetectorCondition = {
  readonly state: NodeState
  readonly operationMode: OperationMode
  readonly currentVersion: string | null
  readonly targetVersion: string | null
  readonly errors: Readonly<Record<string, string>>
  readonly uptimeSeconds: number
}

/** The same with its name, as it is sent to the Loop. */
export type DetectorStatusView = DetectorCondition & {
  readonly id: string
  readonly name: string
  readonly modelFormat: string
  readonly nodeVersion: string | null
}

/** Builds the third argument of `update_detector` (dialect 0.8). */
export function toDetectorStatus(view: DetectorStatusView): DetectorStatus {
  return { id: view.id, ...toShared(view) }
}

/** Builds the body of `POST …/detectors` (current dialect). */
export function toDetectorReport(view: DetectorStatusView): DetectorReport {
  return { uuid: view.id, ...toShared(view), node_version: view.nodeVersion }
}

function toShared(view: DetectorStatusView): Omit<DetectorStatus, 'id'> {
  return {
    name: view.name,
    model_format: view.modelFormat,
    state: view.state,
    errors: { ...view.errors },
    uptime: Math.max(0, Math.floor(view.uptimeSeconds)),
    current_model: view.currentVersion,
    target_model: view.targetVersion,
    operation_mode: view.operationMode,
  }
}
