import type { DetectorStatusView, NodeState, OperationMode } from '../../loop/protocol/index.js'
import type { NodeIdentity } from '../identity.js'

/** What a detector says about itself. */
export type ConditionOfDetector = {
  readonly state: NodeState
  readonly operationMode: OperationMode
  readonly currentVersion: string | null
  readonly targetVersion: string | null
  readonly errors: Readonly<Record<string, string>>
  readonly uptimeSeconds: number
}

/** The detector's condition with its name, as the Loop is told of it. */
export function toStatusView(
  { identity, modelFormat }: { readonly identity: NodeIdentity; readonly modelFormat: string },
  condition: ConditionOfDetector,
): DetectorStatusView {
  return { id: identity.uuid, name: identity.name, modelFormat, ...condition }
}
