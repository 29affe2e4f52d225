import type { FigureLine } from './figure.js'

/** Prints figures as they come: a JSON line each, or the rows of a table for people. */
export type Report = {
  title(text: string): void
  line(line: FigureLine): void
}

const COLUMNS = [44, 7, 12, 12, 9, 4] as const

export function createReport(write: (text: string) => void, options: { readonly json: boolean }): Report {
  if (options.json) return { title: () => undefined, line: (line) => write(`${JSON.stringify(line)}\n`) }
  let isFirst = true
  return {
    title(text) {
      if (isFirst) write(row(['', 'unit', 'ours', 'other', 'ratio', 'runs'], ''))
      isFirst = false
      write(`\n${text}\n`)
    },
    line({ name, unit, ours, other, other_name, ratio, runs }) {
      const cells = [`  ${name}`, unit, show(ours), show(other), ratio === null ? '' : `${ratio} x`, String(runs)]
      write(row(cells, other_name ?? ''))
    },
  }
}

function row(cells: readonly string[], last: string): string {
  const padded = cells.map((cell, index) => (index < 2 ? cell.padEnd(COLUMNS[index] ?? 0) : pad(cell, index)))
  return `${`${padded.join(' ')}  ${last}`.trimEnd()}\n`
}

function pad(cell: string, index: number): string {
  return cell.padStart(COLUMNS[index] ?? 0)
}

function show(value: number | null): string {
  return value === null ? '-' : String(value)
}
