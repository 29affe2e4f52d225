import type { Logger } from '../../base/logger/index.js'
import type { EventQueue } from './event-queue.js'
import type { AsideFolders } from './whole-files/aside-folders.js'
import type { SetAside } from './whole-files/set-aside.js'

/** How a program has ended. */
export type ProgramEnd = {
  /** With code 0, so that nothing was left half written, if nobody asked it to end. */
  readonly endedWell: boolean
  readonly endedByUs?: boolean
}

/** A place where events come from: followed while the program runs, drained once it has ended. */
export type EventSource = {
  follow(signal: AbortSignal): Promise<void>
  drain(end: ProgramEnd): Promise<void>
}

/** What sources of models work with. */
export type EventSourceDeps = {
  readonly queue: EventQueue
  readonly setAside: SetAside
  readonly folders: AsideFolders
  /** A line for people: which model was passed over, and why. */
  readonly say: (line: string) => void
  readonly log: Logger
}
