import type { Closers } from '../../base/index.js'
import type { Context } from '../../loop/protocol/index.js'
import type { Work } from './pipeline.js'
import type { HeldWork } from './record-watch.js'

/** One kind of work of a host, as its worker sees it. */
export type HostWork = {
  /** What the engine claims. */
  readonly works: readonly Work[]
  /** What it works on, to compare with its records. */
  held(): readonly HeldWork[]
  /** Opens what the work needs on this host, and a closer for each; takes none yet. */
  prepare(signal: AbortSignal, closers: Closers): Promise<void>
  /** What the host serves, its places, or a drain has changed; also called when it takes work from now on. */
  follow(): void
}

/** The trainings of a host. */
export type HostTrainings = HostWork & {
  /** Trainers for which it takes no more, since others wait for its slots already. */
  readonly full: readonly string[]
  readonly active: readonly { readonly id: string; readonly order: Context }[]
}
