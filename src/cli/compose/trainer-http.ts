import { openTestControls } from '../../nodes/trainer/test-controls.js'
import { registerTestRoutes } from '../../nodes/trainer/test-routes.js'
import type { FleetLink } from './fleet-link.js'
import { type NodeHttpParts, startNodeHttp } from './node-http.js'

export type TrainerHttpParts = Omit<NodeHttpParts, 'register'> & {
  readonly fleet: Pick<FleetLink, 'backdoor' | 'journal'>
  /** Of the node's seats. */
  readonly uuids: readonly string[]
}

/** Serves the REST endpoints of a trainer node, with those for tests if they are asked for; answers the port. */
export async function startTrainerHttp(
  address: { readonly port: number; readonly host: string },
  { fleet, uuids, ...parts }: TrainerHttpParts,
): Promise<number> {
  const { environment, log } = parts.context
  if (!environment.USE_BACKDOOR_CONTROLS) return startNodeHttp(address, parts)
  const controls = await openTestControls({ seats: uuids }, { ...fleet, log })
  parts.closers.add('test controls', () => controls.close())
  return startNodeHttp(address, { ...parts, register: (server) => registerTestRoutes(server, controls) })
}
