import { AsyncLocalStorage } from 'node:async_hooks'
import type { LoopfleetError } from '../../base/index.js'

/** Until when Redis may carry out what somebody waits for; after that the caller has been refused. */
export type Deadline = {
  /** By the clock of Redis. */
  readonly redisMs: number
  /** Set when the caller was refused. */
  refusal?: LoopfleetError
  /** Set when the caller was answered: what goes on after that is no part of the answer. */
  isOver?: true
}

/** Begins the error of a script that came too late; nothing of it was done. */
export const LATE = 'LATE'

const deadlines = new AsyncLocalStorage<Deadline>()

/** Every script that `work` calls, and what that calls, is bound to the deadline. */
export function withDeadline<T>(deadline: Deadline, work: () => Promise<T>): Promise<T> {
  return deadlines.run(deadline, work)
}

/** For what must still be done although the caller was refused. */
export function withoutDeadline<T>(work: () => Promise<T>): Promise<T> {
  return deadlines.exit(work)
}

/** That of the script which is about to be called; throws the refusal when its caller has been refused. */
export function deadlineNow(): number | undefined {
  const deadline = deadlines.getStore()
  if (deadline === undefined || deadline.isOver === true) return undefined
  if (deadline.refusal !== undefined) throw deadline.refusal
  return deadline.redisMs
}
