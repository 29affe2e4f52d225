import type { Logger } from '../../base/logger/index.js'
import type { EventQueue } from './event-queue.js'
import type { AsideFolders } from './whole-files/aside-folders.js'
import type { SetAside } from './whole-files/set-aside.js'

/** How a program has ended. */
export type ProgramEnd = {
  /** With code 0; then its files are complete, unless it was asked to end. */
  readonly endedWell: boolean
  readonly endedByUs?: boolean
}

/** A source of events: followed while the program runs, drained after its end. */
export type EventSource = {
  follow(signal: AbortSignal): Promise<void>
  drain(end: ProgramEnd): Promise<void>
}

/** The dependencies of sources that report models. */
export type EventSourceDeps = {
  readonly queue: EventQueue
  readonly setAside: SetAside
  readonly folders: AsideFolders
  /** Writes a line for people: which model was skipped, and why. */
  readonly say: (line: string) => void
  readonly log: Logger
}
