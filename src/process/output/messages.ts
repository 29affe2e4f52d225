import type { TakenLines } from '../../base/terminal/index.js'

/** An expression that is tried on every line of a program's output. */
export type OutputPattern = {
  readonly id: string
  /** Of a JavaScript regular expression. */
  readonly source: string
  readonly flags?: string
  /** Of the patterns of one group only the first that matches a line counts. */
  readonly group?: string
  /** Only its first match is reported. */
  readonly isOnce?: boolean
}

export type PatternMatch = {
  readonly id: string
  /** Named groups of the last match in the line. */
  readonly groups: Readonly<Record<string, string | undefined>>
  /** Number of the line, counted from 1; lines that were written over count. */
  readonly at: number
  /** When the beginning of the line was read from the program (milliseconds since 1970), however late it was matched. */
  readonly readAtMs: number
}

/** A pattern that took too long, and the beginning of the line at which it did. */
export type PatternMiss = {
  readonly id: string
  readonly line: string
  /** It is not tried any more; otherwise it got through in the end, and this is reported once. */
  readonly isOff: boolean
}

/** What the thread is asked: by number of the reader. */
export type OutputTask = {
  readonly reader: number
  /** Of a reader that the thread does not know yet. */
  readonly patterns?: readonly OutputPattern[]
  readonly chunk?: Uint8Array
  /** When the chunk was read (milliseconds since 1970). */
  readonly readAtMs?: number
  /**
   * `read` takes the chunk, `match` goes on with lines that wait, `skip` gives those up, `take` asks for lines, `show`
   * for unfinished ones, too,
   * `finish` ends the output, `forget` ends the reader.
   */
  readonly what: 'read' | 'match' | 'skip' | 'take' | 'show' | 'finish' | 'forget'
}

export type OutputAnswer = {
  /** False if this thread does not know the reader: it has replaced a thread that ended. */
  readonly isKnown: boolean
  /** Lines wait to be matched. */
  readonly hasMore: boolean
  /** In the order of their lines; of several of one pattern in a row that were read together only the last. */
  readonly matches: readonly PatternMatch[]
  /** For people, with SGR colours. */
  readonly lines: TakenLines
  readonly misses: readonly PatternMiss[]
  /** More lines for people are held back for a moment. */
  readonly hasLines: boolean
  /** A line that still grows was not given yet. */
  readonly isUnfinished: boolean
  /** Lines so far, counted as in `PatternMatch`. */
  readonly count: number
  /** Given up without being matched. */
  readonly skipped: number
}
