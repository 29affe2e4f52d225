import type { JobHandle } from '../queue/job-handle.js'

/** What a step says in the log of its job; of a short one all lines go out at once. */
export type JobDiary = {
  say(...lines: readonly string[]): void
  /** Nothing is held back any more. */
  end(...lines: readonly string[]): void
}

const HOLD_MS = 50

/** Lines are for people: they are held for a moment, and lost while Redis is away. */
export function createJobDiary(job: Pick<JobHandle<unknown>, 'log'>): JobDiary {
  let held: string[] = []
  let timer: NodeJS.Timeout | undefined

  function write(): void {
    clearTimeout(timer)
    timer = undefined
    if (held.length === 0) return
    const lines = held
    held = []
    job.log(...lines).catch(() => undefined)
  }

  return {
    say(...lines) {
      held.push(...lines)
      timer ??= setTimeout(write, HOLD_MS)
    },
    end(...lines) {
      held.push(...lines)
      write()
    },
  }
}
