import { parseArgs } from 'node:util'

export type BenchOptions = {
  readonly json: boolean
  readonly quick: boolean
  readonly list: boolean
  readonly runs: number
  readonly seed: number
  /** Figures to measure; none means all. */
  readonly names: readonly string[]
}

/** Reads `[--json] [--quick] [--list] [--runs N] [--seed N] [NAME …]`; throws a sentence. */
export function parseCommandLine(args: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      runs: { type: 'string' },
      seed: { type: 'string', default: '1' },
    },
  })
  const { json, quick, list } = values
  const runs = wholeNumber('--runs', values.runs ?? (quick ? '1' : '3'), 1)
  return { json, quick, list, runs, seed: wholeNumber('--seed', values.seed, 0), names: positionals }
}

function wholeNumber(name: string, text: string, min: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= min) return value
  throw new Error(`${name} must be a whole number from ${min}, got "${text}".`)
}
