type Values = ReadonlyMap<string, number | undefined>
/** What one epoch measured, by column name, and its last row; a name without a number was written as nan, inf or a text. */
export type EpochRow = { readonly row: number; readonly values: Values }

type Columns = {
  readonly names: readonly string[]
  readonly epoch: number
  /** False for a first column of another name, such as `step`. */
  readonly isEpoch: boolean
}

const MAX_EPOCHS = 10_000
const EPOCH = /^(.*\/)?ep(och(e|en|s)?)?$/i
const DECIMAL_COMMA = /^[+-]?\d+,\d+(e[+-]?\d+)?$/i

/**
 * Gathers the rows of a results table by epoch. Rows of one epoch that follow each other complete one another, as loggers
 * write training and validation apart; an epoch that comes again later counts again, as after a resume. A row without an
 * epoch belongs to the next one that has one. Of very long tables only the newest epochs are kept.
 */
export class TableRows {
  /** In the order of the table. */
  readonly epochs = new Map<number, EpochRow>()
  /** Of the last row. */
  last: number | undefined
  /** Whether these are epochs: without a column of that name the rows stand at what the first column counts. */
  get hasEpochs(): boolean {
    return this.#columns?.isEpoch === true
  }
  lowest: number | undefined
  /** Some row has more cells than there are names; its figures are unknown. */
  hasNamelessFigures = false
  #columns: Columns | undefined
  #pending: Values = new Map()
  #row = 0

  add(record: readonly string[]): void {
    const cells = record.map((cell) => cell.trim())
    if (cells.every((cell) => cell === '')) return
    if (this.#isHeader(cells)) {
      this.#columns = toColumns(cells)
      return
    }
    this.#columns ??= { names: [], epoch: 0, isEpoch: true } // also a table without names shows how far the training is
    const epoch = toEpoch(cells[this.#columns.epoch])
    const values = this.#valuesOf(this.#columns, cells)
    if (epoch === undefined) this.#pending = new Map([...this.#pending, ...values])
    else this.#addTo(epoch, values)
  }

  #addTo(epoch: number, values: Values): void {
    const known = epoch === this.last ? this.epochs.get(epoch)?.values : undefined
    this.#row += 1
    this.epochs.delete(epoch)
    this.epochs.set(epoch, { row: this.#row, values: new Map([...(known ?? []), ...this.#pending, ...values]) })
    this.#pending = new Map()
    this.last = epoch
    this.lowest = Math.min(epoch, this.lowest ?? epoch)
    const [oldest] = this.epochs.keys()
    if (this.epochs.size > MAX_EPOCHS && oldest !== undefined) this.epochs.delete(oldest)
  }

  /**
   * A row with more cells than there are names, as when a newer version of a script appends to the table of an older
   * one: which figure is which is unknown.
   */
  #valuesOf({ names, epoch }: Columns, cells: readonly string[]): Values {
    if (names.length > 0 && cells.findLastIndex((cell) => cell !== '') >= names.length) {
      this.hasNamelessFigures = true
      return new Map()
    }
    const named = names.flatMap((name, index) => {
      const cell = cells[index] ?? ''
      return index === epoch || name === '' || cell === '' ? [] : [[name, toNumber(cell)] as const]
    })
    return new Map(named)
  }

  /** The first line with names, and what repeats it: a program that resumes may write it again, also with more columns. */
  #isHeader(cells: readonly string[]): boolean {
    const columns = this.#columns
    if (columns !== undefined && columns.names.length > 0) {
      return plainName(cells[columns.epoch]) === columns.names[columns.epoch] || epochColumn(cells) >= 0
    }
    return epochColumn(cells) >= 0 || cells.every((cell) => toNumber(cell) === undefined)
  }
}

function toColumns(cells: readonly string[]): Columns {
  const names = cells.map(plainName)
  const epoch = epochColumn(cells)
  return { names, epoch: Math.max(0, epoch), isEpoch: epoch >= 0 || names[0] === '' }
}

function epochColumn(cells: readonly string[]): number {
  return cells.findIndex((cell) => EPOCH.test(plainName(cell)))
}

/** NumPy puts a # before its line of names. */
function plainName(cell = ''): string {
  return cell.replace(/^#\s*/, '').slice(0, 200)
}

/** A whole number, also as `3.0` or `3/100`; part of an epoch counts to that epoch. */
function toEpoch(cell = ''): number | undefined {
  const epoch = Math.floor(toNumber(cell.split('/')[0]?.trim() ?? '') ?? -1)
  return Number.isSafeInteger(epoch) && epoch >= 0 ? epoch : undefined
}

function toNumber(cell: string): number | undefined {
  const value = cell === '' ? Number.NaN : Number(DECIMAL_COMMA.test(cell) ? cell.replace(',', '.') : cell)
  return Number.isFinite(value) ? value : undefined
}
