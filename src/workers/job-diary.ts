import type { JobHandle } from '../queue/job-handle.js'

/** What a step says in the log of its job; of a short one all lines go out at once. */
export type JobDiary = {
  say(...lines: readonly string[]): void
  /** Gives what is held back to the caller, with these lines, to be written by other means. */
  take(...lines: readonly string[]): readonly string[]
  /** Nothing is held back any more. */
  end(...lines: readonly string[]): void
}

const HOLD_MS = 50

/** Lines are for people: they are held for a moment, and lost while Redis is away. */
export function createJobDiary(job: Pick<JobHandle<unknown>, 'log'>): JobDiary {
  let held: string[] = []
  let timer: NodeJS.Timeout | undefined

  function take(): readonly string[] {
    clearTimeout(timer)
    timer = undefined
    const lines = held
    held = []
    return lines
  }

  function write(): void {
    const lines = take()
    if (lines.length === 0) return
    job.log(...lines).catch(() => undefined)
  }

  return {
    say(...lines) {
      held.push(...lines)
      timer ??= setTimeout(write, HOLD_MS)
    },
    take: (...lines) => [...take(), ...lines],
    end(...lines) {
      held.push(...lines)
      write()
    },
  }
}
