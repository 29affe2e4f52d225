/** Passes lines on in batches. */
export type LogWriter = {
  write(line: string): void
  /** Passes on what is left; never rejects. */
  close(): Promise<void>
}

const EVERY_MS = 300
const MAX_HELD_CHARS = 256 * 1024

/** Writes lines to where every machine can read them, a few times a second; what comes faster than it goes is cut. */
export function createLogWriter(append: (text: string) => Promise<void>): LogWriter {
  let held = ''
  let cut = 0
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (held === '' && cut === 0) return
    const text = cut === 0 ? held : `${held}… ${cut} lines are in the log of the host only\n`
    held = ''
    cut = 0
    // Lines are for people; the work goes on when Redis is away for a moment.
    writing = writing.then(() => append(text)).catch(() => undefined)
  }

  return {
    write(line) {
      if (held.length > MAX_HELD_CHARS) cut += 1
      else held += `${line}\n`
      timer ??= setTimeout(flush, EVERY_MS)
    },
    async close() {
      flush()
      await writing
    },
  }
}
