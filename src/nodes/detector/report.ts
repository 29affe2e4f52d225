import type { DetectorCondition, DetectorStatusView } from '../../loop/protocol/index.js'
import type { NodeIdentity } from '../index.js'

export type ReportOptions = {
  readonly identity: NodeIdentity
  readonly organization: string
  readonly project: string
  readonly modelFormat: string
  /** NODE_VERSION: how the operator names this program's version; the current dialect reports it. */
  readonly nodeVersion?: string | undefined
}

/** What a report reads from the detector, and the deployment target that it passes on to it. */
export type ReportedDetector = {
  condition(): DetectorCondition
  setTarget(target: { readonly id: string; readonly version: string } | null): void
}

/** The detector's condition with its name, as it is reported to the Loop. */
export function toStatusView(options: ReportOptions, condition: DetectorCondition): DetectorStatusView {
  const { identity, modelFormat, nodeVersion = null } = options
  return { id: identity.uuid, name: identity.name, modelFormat, nodeVersion, ...condition }
}
