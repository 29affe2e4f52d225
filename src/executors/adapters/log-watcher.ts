import type { TrainerDefinition } from '../definition.js'
import type { TrainerEvent } from '../events.js'

/**
 * Reads the output of a program that knows no events: progress by the trainer file's expression, and once per cause
 * an error event for a line listed under `errors`.
 */
export function createLogWatcher(
  definition: Pick<TrainerDefinition, 'progress' | 'errors'>,
  push: (event: TrainerEvent) => void,
): (line: string) => void {
  const readProgress = progressReader(definition)
  const known = definition.errors.map(({ log, cause }) => ({ expression: new RegExp(log), cause }))
  const told = new Set<string>()
  return (line) => {
    const progress = readProgress(line)
    if (progress !== undefined) push(progress)
    const cause = known.find(({ expression }) => expression.test(line))?.cause
    if (cause === undefined || told.has(cause)) return
    told.add(cause)
    push({ event: 'error', message: cause })
  }
}

/** The cause that the trainer file gives for one of these lines, for programs that have ended. */
export function knownCause(
  definition: Pick<TrainerDefinition, 'errors'>,
  lines: readonly string[],
): string | undefined {
  return definition.errors.find(({ log }) => lines.some((line) => new RegExp(log).test(line)))?.cause
}

function progressReader(definition: Pick<TrainerDefinition, 'progress'>): (line: string) => TrainerEvent | undefined {
  const { progress } = definition
  if (progress === 'events' || progress.log === undefined) return () => undefined
  const expression = new RegExp(progress.log, 'g')
  return (line) => {
    const groups = [...line.matchAll(expression)].at(-1)?.groups
    return groups === undefined ? undefined : toProgress(groups)
  }
}

/** `epoch/epochs` is the quotient; a training of a single epoch shows 0/0, which is the beginning. */
function toProgress(groups: Readonly<Record<string, string | undefined>>): TrainerEvent | undefined {
  const { epoch, epochs, progress, percent } = mapNumbers(groups)
  const quotient = epoch !== undefined && epochs !== undefined ? epoch / Math.max(1, epochs) : undefined
  const fraction = progress ?? (percent === undefined ? quotient : percent / 100)
  if (fraction === undefined && epoch === undefined) return undefined
  const clipped = fraction === undefined ? undefined : Math.min(1, Math.max(0, fraction))
  return { event: 'progress', progress: clipped, epoch: wholeNumber(epoch), epochs: wholeNumber(epochs) }
}

function mapNumbers(groups: Readonly<Record<string, string | undefined>>): Partial<Record<string, number>> {
  const entries = Object.entries(groups).map(([name, text]) => [name, Number(text ?? Number.NaN)] as const)
  return Object.fromEntries(entries.filter(([, value]) => Number.isFinite(value)))
}

function wholeNumber(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.max(0, Math.floor(value))
}
