import type { Logger } from '../../base/logger/index.js'
import type { TakenLines } from '../../base/terminal/index.js'
import {
  createOutputThread,
  type OutputPattern,
  type OutputReader,
  type OutputThread,
  type PatternMatch,
  type PatternMiss,
} from '../../process/index.js'
import { OUT_OF_MEMORY, type TrainerEvent } from '../contract/index.js'
import type { TrainerDefinition } from '../definition/index.js'

/** Follows the output of the programs of a run. */
export type OutputAudience = {
  /** Lines for people, with SGR colours and no other control sequence. */
  show(lines: TakenLines): void
  /** A warning for people about a pattern. */
  warn(warning: string): void
  /** Patterns that were switched off in this run, by their key in the trainer or converter file; programs add to it. */
  readonly offPatterns: Set<string>
}

export type OutputWatchOptions = {
  readonly definition: Pick<TrainerDefinition, 'errors'> & Partial<Pick<TrainerDefinition, 'progress'>>
  readonly audience?: OutputAudience | undefined
  /** Progress, and an error once per known cause; with the time at which its line was read from the program. */
  readonly onEvent?: (event: TrainerEvent, readAtMs: number) => void
  /** The pattern of the progress is off: no epoch comes from the log any more. */
  readonly onProgressOff?: () => void
  /** Lines wait to be matched. */
  readonly onTurn?: () => void
}

export type OutputWatchDeps = {
  readonly log: Logger
  /** The thread of this host; without it a thread is started for the program. */
  readonly outputThread?: OutputThread | undefined
}

/** The results of reading a program's output while it runs. */
export type OutputWatch = {
  readonly reader: OutputReader
  /** The known cause, from `errors` in the trainer or converter file, if a line has matched. */
  readonly cause: string | undefined
  /** Whether one of its last lines reports that it ran out of memory. */
  readonly isOutOfMemory: boolean
  /** The program has ended. */
  close(): Promise<void>
}

const PROGRESS = 'progress.log'
const MEMORY = 'out of memory'
/** Only recent lines count: a program may continue after it ran out of memory, with a smaller batch, and fail for another reason. */
const RECENT_LINES = 200

/** Reads progress, known causes and memory that ran out from a program's output, in the thread of the host. */
export function openOutputWatch(options: OutputWatchOptions, deps: OutputWatchDeps): OutputWatch {
  const { definition, audience, onEvent } = options
  const own = deps.outputThread === undefined ? createOutputThread(deps) : undefined
  const causes = new Set<string>()
  let memoryAt = Number.NEGATIVE_INFINITY

  function take({ id, groups, at, readAtMs }: PatternMatch): void {
    if (id === PROGRESS) push(toProgress(groups), readAtMs)
    if (id === MEMORY) memoryAt = at
    const cause = definition.errors.find((_, index) => errorId(index) === id)?.cause
    if (cause === undefined || causes.has(cause)) return
    causes.add(cause)
    push({ event: 'error', message: cause }, readAtMs)
  }

  function push(event: TrainerEvent | undefined, readAtMs: number): void {
    if (event !== undefined) onEvent?.(event, readAtMs)
  }

  function miss({ id, line, isOff }: PatternMiss): void {
    if (isOff) audience?.offPatterns.add(id)
    if (isOff && id === PROGRESS) options.onProgressOff?.()
    const source = patterns.find((pattern) => pattern.id === id)?.source ?? ''
    const what = `the pattern ${id} (${source.slice(0, 200)})`
    const warning = isOff
      ? `${what} is off for this run: it took more than 1 s for the line "${line}"`
      : `${what} is slow, which slows the program down: it took more than 0.1 s for the line "${line}"`
    deps.log.warn({ pattern: id, source, line, isOff }, isOff ? 'pattern switched off' : 'pattern is slow')
    audience?.warn(warning)
  }

  const patterns = patternsOf(definition).filter(({ id }) => audience?.offPatterns.has(id) !== true)
  const reader = (deps.outputThread ?? own ?? createOutputThread(deps)).open({
    patterns,
    onMatch: take,
    onMiss: miss,
    onLines: audience && ((lines) => audience.show(lines)),
    onTurn: options.onTurn,
    onSkipped: (lines) => audience?.warn(`${lines} lines were not matched, since the program has ended`),
  })
  return {
    reader,
    get cause() {
      return definition.errors.find(({ cause }) => causes.has(cause))?.cause
    },
    get isOutOfMemory() {
      return memoryAt > reader.count - RECENT_LINES
    },
    close: async () => await own?.close(),
  }
}

function patternsOf({ progress = 'events', errors }: OutputWatchOptions['definition']): OutputPattern[] {
  const followed = progress === 'events' ? undefined : progress.log
  return [
    ...(followed === undefined ? [] : [{ id: PROGRESS, source: followed }]),
    ...errors.map(({ log }, index) => ({ id: errorId(index), source: log, group: 'errors', isOnce: true })),
    { id: MEMORY, source: OUT_OF_MEMORY.source, flags: OUT_OF_MEMORY.flags },
  ]
}

function errorId(index: number): string {
  return `errors[${index}].log`
}

type Groups = Readonly<Record<string, string | undefined>>

/** The progress from the named groups of `progress.log`: `progress`, `percent`, or `epoch/epochs`; 0/0, of a single epoch, is 0. */
function toProgress(groups: Groups): TrainerEvent | undefined {
  const { epoch, epochs, progress, percent } = mapNumbers(groups)
  const quotient = epoch !== undefined && epochs !== undefined ? epoch / Math.max(1, epochs) : undefined
  const fraction = progress ?? (percent === undefined ? quotient : percent / 100)
  if (fraction === undefined && epoch === undefined) return undefined
  const clipped = fraction === undefined ? undefined : Math.min(1, Math.max(0, fraction))
  return { event: 'progress', progress: clipped, epoch: wholeNumber(epoch), epochs: wholeNumber(epochs) }
}

function mapNumbers(groups: Groups): Partial<Record<string, number>> {
  const entries = Object.entries(groups).map(([name, text]) => [name, Number(text ?? Number.NaN)] as const)
  return Object.fromEntries(entries.filter(([, value]) => Number.isFinite(value)))
}

function wholeNumber(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.max(0, Math.floor(value))
}
