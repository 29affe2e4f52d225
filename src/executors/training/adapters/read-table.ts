import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import type { Options } from 'csv-parse'
import { hasCode } from '../../../base/index.js'
import { TableRows } from './table-rows.js'

/** The current table, and the properties of the file by which a change is found. */
export type Table = { readonly rows: TableRows; readonly mark: string; readonly mtimeMs: number }
export type ReadTableOptions = {
  /** The mark of the reading before; nothing is read again without a change. */
  readonly unless?: string | undefined
  /** Whether a last line without an end counts too: its writer has ended well, so it is not a half one. */
  readonly isWhole: boolean
}

const HEAD_BYTES = 64 * 1024
const NEWLINE = 0x0a
const DELIMITERS = [',', ';', '\t', '|'] as const

/** Reads a table of comma, semicolon, tab, bar or blank separated values; undefined if it is missing or unchanged. */
export async function readTable(path: string, options: ReadTableOptions): Promise<Table | undefined> {
  const file = await openFile(path)
  if (file === undefined) return undefined
  try {
    const { ino, size, mtimeNs } = await file.stat({ bigint: true })
    const mark = `${ino} ${size} ${mtimeNs} ${options.isWhole}`
    if (mark === options.unless) return undefined
    const end = options.isWhole ? Number(size) : await endOfLastLine(file, Number(size))
    return { rows: await readRows(file, end), mark, mtimeMs: Number(mtimeNs / 1000n) / 1000 }
  } finally {
    await file.close()
  }
}

/** Only a plain file: a named pipe would block the reader. */
async function openFile(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
  if ((await file.stat()).isFile()) return file
  await file.close()
  return undefined
}

async function endOfLastLine(file: FileHandle, size: number): Promise<number> {
  const buffer = Buffer.allocUnsafe(HEAD_BYTES)
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - buffer.length)
    const { bytesRead } = await file.read(buffer, 0, end - start, start)
    const newline = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE)
    if (newline !== -1) return start + newline + 1
    end = start
  }
  return 0
}

async function readRows(file: FileHandle, end: number): Promise<TableRows> {
  if (end === 0) return new TableRows()
  const delimiter = await findDelimiter(file)
  const { CsvError } = await import('csv-parse') // only some trainers write tables
  try {
    return await parseRows(file, end, { delimiter })
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    return parseRows(file, end, { delimiter, quote: null }) // a stray quote must not swallow the rest of the table
  }
}

async function parseRows(file: FileHandle, end: number, options: Options): Promise<TableRows> {
  const { parse } = await import('csv-parse')
  const rows = new TableRows()
  const parser = parse({
    bom: true,
    record_delimiter: ['\r\n', '\n'],
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    trim: true,
    max_record_size: HEAD_BYTES,
    ...options,
  })
  const source = file.createReadStream({ start: 0, end: end - 1, autoClose: false })
  await pipeline(source, parser, async (records: AsyncIterable<string[]>) => {
    for await (const cells of records) rows.add(options.delimiter === ' ' ? filled(cells) : cells)
  })
  return rows
}

/** Columns that blanks align have empty cells between them; NumPy puts a # before the names. */
function filled(cells: readonly string[]): string[] {
  return cells.filter((cell) => cell !== '' && cell !== '#')
}

/** The character that cuts the line of names into most parts. */
async function findDelimiter(file: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(HEAD_BYTES), 0, HEAD_BYTES, 0)
  const lines = buffer.subarray(0, bytesRead).toString('utf8').split('\n')
  const unquoted = (lines.find((line) => line.trim() !== '') ?? '').replace(/"[^"]*"/g, '')
  const counts = DELIMITERS.map((delimiter) => ({ delimiter, count: unquoted.split(delimiter).length - 1 }))
  const best = counts.reduce((most, one) => (one.count > most.count ? one : most))
  return best.count === 0 && unquoted.trim().includes(' ') ? ' ' : best.delimiter
}
