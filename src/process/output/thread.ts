import { performance } from 'node:perf_hooks'
import { KeptLines, OutputText, type TakenLines } from '../../base/terminal/index.js'
import type { OutputAnswer, OutputPattern, OutputTask } from './messages.js'
import { PatternMatcher } from './pattern-matcher.js'

/** The programs of a host take turns; in each one lines are matched for so long. */
const SLICE_MS = 10
const HOLD_MS = 200
/** Of the lines for people; no log takes more at a time. */
const MAX_ANSWER_BYTES = 16 * 1024

type Reader = {
  readonly text: OutputText
  readonly matcher: PatternMatcher
  readonly lines: KeptLines
  takenAt: number
}

const NO_LINES: TakenLines = { head: [], lost: 0, tail: [] }
const readers = new Map<number, Reader>()

/** The thread that reads the output of all programs of a host (piscina calls it). */
export function readOutput(task: OutputTask): OutputAnswer {
  if (task.patterns !== undefined) readers.set(task.reader, openReader(task.patterns))
  const reader = readers.get(task.reader)
  if (reader === undefined) return UNKNOWN
  const { text, matcher } = reader
  if (task.chunk !== undefined) text.feed(task.chunk, task.readAtMs)
  if (task.what === 'finish') text.finish()
  if (task.what === 'show') text.showUnfinished()
  if (task.what === 'skip') matcher.skip()
  if (task.what === 'forget') readers.delete(task.reader)
  const hasMore = task.what === 'show' || task.what === 'take' ? matcher.hasMore : matcher.match(SLICE_MS)
  const lines = takeLines(reader, task.what)
  const hasLines = reader.lines.count > 0
  return { isKnown: true, hasMore, lines, hasLines, isUnfinished: text.isUnfinished, ...matcher.take() }
}

/** Under a flood only now and then, so that the lines cost the event loop nothing. */
function takeLines(reader: Reader, what: OutputTask['what']): TakenLines {
  const isAsked = what === 'take' || what === 'show' || what === 'finish'
  if (reader.lines.count === 0 || (!isAsked && performance.now() - reader.takenAt < HOLD_MS)) return NO_LINES
  reader.takenAt = performance.now()
  return reader.lines.take()
}

function openReader(patterns: readonly OutputPattern[]): Reader {
  const matcher = new PatternMatcher(patterns)
  const onPiece = patterns.length === 0 ? undefined : (piece: string, readAtMs: number) => matcher.add(piece, readAtMs)
  const lines = new KeptLines(MAX_ANSWER_BYTES)
  return { text: new OutputText({ onLine: (line) => lines.add(line), onPiece }), matcher, lines, takenAt: 0 }
}

const UNKNOWN: OutputAnswer = {
  isKnown: false,
  hasMore: false,
  matches: [],
  lines: NO_LINES,
  hasLines: false,
  misses: [],
  isUnfinished: false,
  count: 0,
  skipped: 0,
}
