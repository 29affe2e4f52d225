import { OutputLines } from '../output-lines.js'

/** Reads a program's output beside the file that keeps it. Calls must not overlap, but for `hurry` and `last`. */
export type OutputReader = {
  /** Resolves when the next chunk may come: no program gets further ahead of its reader than its pipe holds. */
  feed(chunk: Buffer, readAtMs?: number): Promise<void> | void
  /** The program has ended: what is left of its output must not take long. */
  hurry(): void
  /** The output has ended. */
  finish(): Promise<void> | void
  /** At most the last 50 lines. */
  last(): string[]
}

/** Reads on this thread, for our own programs and those whose lines nobody looks into. */
export function createLineReader(onLine?: (line: string) => void): OutputReader {
  const lines = new OutputLines(onLine)
  return {
    feed: (chunk) => lines.feed(chunk),
    hurry: () => undefined,
    finish: () => lines.finish(),
    last: () => lines.last(),
  }
}
