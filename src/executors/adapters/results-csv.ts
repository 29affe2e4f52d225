import { join } from 'node:path'
import { type FileLine, readJsonLines, tailJsonLines } from '../../base/json-lines.js'
import type { TrainerEvent } from '../events.js'
import type { EventSource } from '../events-file.js'

export type ResultsCsvOptions = {
  readonly workspace: string
  /** The table inside the workspace: a line of column names, then one row per epoch. */
  readonly file: string
  /** How many epochs there will be, when it is known; makes rows into progress. */
  readonly epochs?: number
  /** What the table calls the first epoch; 0 unless told otherwise. */
  readonly firstEpoch?: number
}

/**
 * Makes every new row of a results table a `metrics` event, and a `progress` event when the epochs are known. Rows
 * that are there already belong to an earlier start and are passed over.
 */
export async function openResultsCsv(
  options: ResultsCsvOptions,
  push: (event: TrainerEvent) => void,
): Promise<EventSource> {
  const path = join(options.workspace, options.file)
  let columns: readonly string[] = []
  let position = 0

  function take({ line, endOffset, tooLong }: FileLine): TrainerEvent[] {
    position = endOffset
    if (tooLong === true) return []
    const cells = line.split(',').map((cell) => cell.trim())
    if (isRow(cells)) return toEvents(columns, cells, options)
    columns = cells
    return []
  }

  function pushAll(events: readonly TrainerEvent[]): void {
    for (const event of events) push(event)
  }

  for await (const line of readJsonLines(path)) take(line)
  return {
    async follow(signal) {
      for await (const line of tailJsonLines(path, { signal, from: position })) pushAll(take(line))
    },
    async drain() {
      for await (const line of readJsonLines(path, { from: position })) pushAll(take(line))
    },
  }
}

function isRow(cells: readonly string[]): boolean {
  return cells.some((cell) => cell !== '' && Number.isFinite(Number(cell)))
}

function toEvents(
  columns: readonly string[],
  cells: readonly string[],
  { epochs, firstEpoch = 0 }: Pick<ResultsCsvOptions, 'epochs' | 'firstEpoch'>,
): TrainerEvent[] {
  const epochColumn = Math.max(0, columns.indexOf('epoch'))
  const epoch = toNumber(cells[epochColumn])
  if (epoch === undefined || !Number.isInteger(epoch) || epoch < 0) return []
  const values = columns.flatMap((name, index) => {
    const value = toNumber(cells[index])
    return index === epochColumn || name === '' || value === undefined ? [] : [[name, value] as const]
  })
  const metrics: TrainerEvent = { event: 'metrics', epoch, values: Object.fromEntries(values) }
  if (epochs === undefined) return [metrics]
  const done = Math.min(1, Math.max(0, (epoch + 1 - firstEpoch) / epochs))
  return [metrics, { event: 'progress', progress: done, epoch, epochs }]
}

function toNumber(cell: string | undefined): number | undefined {
  const value = cell === undefined || cell === '' ? Number.NaN : Number(cell)
  return Number.isFinite(value) ? value : undefined
}
