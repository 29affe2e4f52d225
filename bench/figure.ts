/** One measured comparison; what `--json` prints per line. */
export type FigureLine = {
  readonly name: string
  readonly unit: string
  /** Median over the runs. */
  readonly ours: number
  /** Median of the other side; null where there is none to compare with. */
  readonly other: number | null
  readonly other_name: string | null
  /** How many times better ours is: above 1 ours wins, whichever way the unit points. */
  readonly ratio: number | null
  readonly runs: number
}

/** How large and how often; what a figure may use of this machine. */
export type Bench = {
  /** Small sizes, only to prove that the figure can be measured. */
  readonly quick: boolean
  readonly runs: number
  readonly seed: number
  /** A folder of its own for this figure, removed afterwards. */
  readonly folder: string
  /** The full size, or the small one of a quick bench. */
  size(full: number, quick: number): number
  /** Tells people how far it is. */
  say(text: string): void
}

export type Figure = {
  /** Its first word chooses it on the command line. */
  readonly name: string
  readonly title: string
  /** Its files lie in memory where there is room: what a file system makes of so many falls on one side by chance. */
  readonly offDisk?: boolean
  measure(bench: Bench): AsyncIterable<FigureLine>
}

export type Comparison = {
  readonly name: string
  readonly unit: string
  readonly better: 'lower' | 'higher'
  readonly ours: readonly number[]
  readonly other?: { readonly name: string; readonly values: readonly number[] }
}

/** The medians of two rows of measurements and their ratio. */
export function compare({ name, unit, better, ours, other }: Comparison): FigureLine {
  const mine = median(ours)
  const theirs = other === undefined ? null : median(other.values)
  const ratio = theirs === null ? null : better === 'lower' ? theirs / mine : mine / theirs
  return {
    name,
    unit,
    ours: rounded(mine),
    other: theirs === null ? null : rounded(theirs),
    other_name: other?.name ?? null,
    ratio: ratio === null || !Number.isFinite(ratio) ? null : rounded(ratio),
    runs: ours.length,
  }
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** The value below which this share of the values lies, between two of them in proportion. */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new Error('There is no percentile of nothing.')
  const sorted = [...values].sort((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const below = sorted[Math.floor(at)] ?? 0
  return below + ((sorted[Math.ceil(at)] ?? below) - below) * (at - Math.floor(at))
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
