import type { Server } from 'socket.io'
import type { Logger } from '../../base/logger/index.js'
import type { Effects } from './effects.js'
import type { Faults } from './faults/faults.js'
import type { Nodes } from './nodes.js'
import type { Sessions } from './sessions.js'
import type { Store } from './store/store.js'

/** What the parts of one local Loop share. */
export type LoopContext = {
  readonly store: Store
  readonly effects: Effects
  readonly nodes: Nodes
  readonly sessions: Sessions
  readonly faults: Faults
  readonly sockets: Server
  /** Seed of generated projects whose order names none. */
  readonly seed: number
  readonly log: Logger
  readonly now: () => number
  /** Address of this Loop; known once it listens. */
  readonly url: () => string
  /** To be called after every change that a test may wait for. */
  readonly changed: () => void
}
