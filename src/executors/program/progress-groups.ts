import type { TrainerEvent } from '../contract/index.js'

type Groups = Readonly<Record<string, string | undefined>>

/** The progress that the named groups of `progress.log` say: `epoch/epochs` is the quotient; a training of a single epoch shows 0/0, which is the beginning. */
export function toProgress(groups: Groups): TrainerEvent | undefined {
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
