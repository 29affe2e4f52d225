import process from 'node:process'
import { plainText } from '../base/terminal/index.js'

/** Prints rows as a table with aligned columns; on a terminal the head is bold. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const plain = rows.map((row) => row.map(oneLine))
  const widths = head.map((title, column) => Math.max(title.length, ...plain.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  const bold = (text: string) => (process.stdout.isTTY === true ? `\u001b[1m${text}\u001b[22m` : text)
  process.stdout.write([bold(line(head)), ...plain.map(line)].join('\n').concat('\n'))
}

/** Prints one line of text, whatever it holds. */
export function printLine(text: string): void {
  process.stdout.write(`${oneLine(text)}\n`)
}

/** What programs and the Loop have named may hold control sequences, which no terminal gets. */
function oneLine(text: string): string {
  return plainText(text).replaceAll('\n', ' ')
}

/** One JSON value on one line, for programs. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** `3 s`, `12 min`, `5 h` … since a moment. */
export function ago(atMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - atMs) / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return `${Math.round(seconds / 3600)} h`
}

export function percent(share: number | null): string {
  return share === null ? '' : `${Math.round(share * 100)} %`
}

/** A fact as people read it: moments as ISO 8601, nothing as a dash, what has parts as JSON. */
export function inWords(name: string, value: unknown): string {
  if (value === null) return '–'
  if (typeof value === 'number' && name.endsWith('At')) return new Date(value).toISOString()
  return typeof value === 'string' ? value : JSON.stringify(value)
}
