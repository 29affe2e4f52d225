import type { DetectorCondition, DetectorStatusView } from '../../loop/protocol/index.js'
import type { NodeIdentity } from '../identity.js'

/** The detector's condition with its name, as the Loop is told of it. */
export function toStatusView(
  { identity, modelFormat }: { readonly identity: NodeIdentity; readonly modelFormat: string },
  condition: DetectorCondition,
): DetectorStatusView {
  return { id: identity.uuid, name: identity.name, modelFormat, ...condition }
}
