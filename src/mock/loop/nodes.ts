import type { Dialect, NodeType, TrainerState } from '../../loop/protocol/index.js'
import type { StatusEntry } from './store/records.js'

/** A node as the Loop sees it; it exists while its socket is connected, and is remembered afterwards. */
export type LoopNode = {
  readonly id: string
  readonly type: NodeType
  name: string
  /** Of trainers and detectors; annotators speak the same in both. */
  dialect: Dialect | null
  /** Socket over which it was last heard; null for nodes that only use REST. */
  socketId: string | null
  connected: boolean
  lastSeen: number
  /** State of a trainer in the current spelling, else as reported. */
  state: string
  progress: number | null
  errors: Readonly<Record<string, string>>
  /** The whole last status as it came. */
  status: Readonly<Record<string, unknown>>
  /** Of trainers: one entry per change of state, progress or errors, oldest first. */
  readonly history: (StatusEntry & { readonly context: string | null })[]
}

type SeenNode = Pick<
  LoopNode,
  'id' | 'type' | 'name' | 'dialect' | 'socketId' | 'state' | 'progress' | 'errors' | 'status'
>

/** All nodes that this Loop has seen since it started. */
export type Nodes = {
  list(): readonly LoopNode[]
  get(id: string): LoopNode | undefined
  /** Notes a status. */
  seen(node: SeenNode): LoopNode
  /** Notes a change of a trainer; equal ones in a row are one entry. */
  note(node: LoopNode, entry: { state: TrainerState; context: string | null }): void
  disconnected(socketId: string): void
}

const MAX_HISTORY = 5000

export function createNodes(deps: { readonly now: () => number }): Nodes {
  const nodes = new Map<string, LoopNode>()
  return {
    list: () => [...nodes.values()],
    get: (id) => nodes.get(id),
    seen: (status) => {
      const lastSeen = deps.now()
      const known = nodes.get(status.id)
      if (known === undefined || known.type !== status.type) {
        const node = { ...status, connected: true, lastSeen, history: [] }
        nodes.set(node.id, node)
        return node
      }
      return Object.assign(known, status, { connected: true, lastSeen })
    },
    note: (node, { state, context }) => {
      const entry = { time: deps.now(), state, progress: node.progress, errors: node.errors, context }
      const last = node.history.at(-1)
      if (last !== undefined && isSame(last, entry)) return
      node.history.push(entry)
      if (node.history.length > MAX_HISTORY) node.history.shift()
    },
    disconnected: (socketId) => {
      for (const node of nodes.values()) {
        if (node.socketId === socketId) node.connected = false
      }
    },
  }
}

function isSame(a: object, b: object): boolean {
  return JSON.stringify({ ...a, time: 0 }) === JSON.stringify({ ...b, time: 0 })
}
