import { openTestControls, registerTestRoutes, type TestControls } from '../../nodes/trainer/index.js'
import { type FleetLink, whyNoRedis } from './fleet-link.js'
import { createLater } from './later.js'
import { type NodeAddress, type NodeHttpParts, openNodeHttp, type ServedNode } from './node-http.js'

/** The REST endpoints of a trainer node, with those for tests if they are asked for. */
export type TrainerHttp = {
  readonly port: number | null
  /** From now on they act on this node; `uuids` are those of its seats. */
  serve(node: ServedNode, parts: { readonly fleet: FleetLink; readonly uuids: readonly string[] }): Promise<void>
}

export async function openTrainerHttp(address: NodeAddress, parts: NodeHttpParts): Promise<TrainerHttp> {
  const { environment, log } = parts.context
  const controls = createLater<TestControls>('The node is starting.')
  const hasControls = environment.USE_BACKDOOR_CONTROLS
  const { port, node: later } = await openNodeHttp(address, parts, (server) => {
    if (!hasControls) return
    registerTestRoutes(server, {
      kill: async () => controls.get().kill(),
      makeSteps: async (count) => controls.get().makeSteps(count),
      configure: async (settings) => controls.get().configure(settings),
    })
  })
  return {
    port,
    async serve(node, { fleet, uuids }) {
      if (hasControls && port !== null) {
        const opened = await openTestControls({ seats: uuids }, { ...fleet, log })
        parts.closers.add('test controls', () => opened.close())
        controls.set(opened)
      }
      later.set({ ...node, whyNotReady: () => whyNoRedis(fleet) ?? node.whyNotReady() })
    },
  }
}
