import { OutputText } from '../../base/terminal/output-text.js'
import type { OutputAnswer, OutputPattern, OutputTask } from './messages.js'
import { PatternMatcher } from './pattern-matcher.js'

/** The programs of a host take turns; in each one lines are matched for so long. */
const SLICE_MS = 10

type Reader = { readonly text: OutputText; readonly matcher: PatternMatcher; lines: string[] }

const readers = new Map<number, Reader>()

/** The thread that reads the output of all programs of a host (piscina calls it). */
export function readOutput(task: OutputTask): OutputAnswer {
  if (task.patterns !== undefined) readers.set(task.reader, openReader(task.patterns))
  const reader = readers.get(task.reader)
  if (reader === undefined) return UNKNOWN
  const { text, matcher } = reader
  if (task.chunk !== undefined) text.feed(task.chunk)
  if (task.what === 'finish') text.finish()
  if (task.what === 'show') text.showUnfinished()
  if (task.what === 'skip') matcher.skip()
  if (task.what === 'forget') readers.delete(task.reader)
  const hasMore = task.what === 'show' ? matcher.hasMore : matcher.match(SLICE_MS)
  const { lines } = reader
  reader.lines = []
  return { isKnown: true, hasMore, lines, isUnfinished: text.isUnfinished, ...matcher.take() }
}

function openReader(patterns: readonly OutputPattern[]): Reader {
  const matcher = new PatternMatcher(patterns)
  const onPiece = patterns.length === 0 ? undefined : (piece: string) => matcher.add(piece)
  const reader: Reader = {
    text: new OutputText({ onLine: (line) => reader.lines.push(line), onPiece }),
    matcher,
    lines: [],
  }
  return reader
}

const UNKNOWN: OutputAnswer = {
  isKnown: false,
  hasMore: false,
  matches: [],
  lines: [],
  misses: [],
  isUnfinished: false,
  count: 0,
  skipped: 0,
}
