import type { DetectorCondition, DetectorStatusView } from '../../loop/protocol/index.js'
import type { NodeIdentity } from '../identity.js'

/** The detector's condition with its name, as the Loop is told of it. */
export function toStatusView(
  options: { readonly identity: NodeIdentity; readonly modelFormat: string; readonly nodeVersion?: string | undefined },
  condition: DetectorCondition,
): DetectorStatusView {
  const { identity, modelFormat, nodeVersion = null } = options
  return { id: identity.uuid, name: identity.name, modelFormat, nodeVersion, ...condition }
}
