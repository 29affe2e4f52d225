import { Row } from './row.js'
import { applySgr, PLAIN, type Style, sgrOf } from './style.js'

/** Longer rows are cut into several. */
export const MAX_ROW = 4096
/** As far as a program can go up to write over what it has written. */
const KEPT_ROWS = 60

type ShownRow = { readonly row: Row; shown: string | undefined }

/**
 * What a log keeps of output that writes over itself: a row is taken once it is complete, and once more when a progress
 * bar has gone back to it and changed it. Rows have SGR colours and no other control sequence.
 */
export class Screen {
  readonly #take: (line: string) => void
  #rows: ShownRow[] = [blank()]
  #at = 0
  /** Rows above it have not changed since they were taken. */
  #changedFrom = 0
  #style: Style = PLAIN
  #sgr = ''

  constructor(take: (line: string) => void) {
    this.#take = take
  }

  /** Something stands there that was not taken. */
  get isUnfinished(): boolean {
    return this.#changed().length > 0
  }

  text(text: string): void {
    for (let start = 0; start < text.length; ) {
      const { row } = this.#current
      if (row.column >= MAX_ROW) this.lineFeed()
      const room = MAX_ROW - this.#current.row.column
      this.#current.row.write(text.slice(start, start + room), this.#sgr)
      start += room
    }
  }

  lineFeed(): void {
    if (this.#at < this.#rows.length - 1) this.#moveTo(this.#at + 1, 0)
    else this.#grow()
  }

  carriageReturn(): void {
    this.#current.row.column = 0
  }

  backspace(): void {
    this.#moveColumn(-1)
  }

  controlSequence(final: string, parameters: string): void {
    if (final === 'm') {
      this.#style = applySgr(this.#style, parameters)
      this.#sgr = sgrOf(this.#style)
      return
    }
    if (!/^[\d;]*$/.test(parameters)) return // a private mode
    const count = Math.min(MAX_ROW, Math.max(1, Number.parseInt(parameters, 10) || 1))
    const { column } = this.#current.row
    switch (final) {
      case 'A':
        this.#moveTo(this.#at - count, column)
        return
      case 'B':
        this.#moveTo(this.#at + count, column)
        return
      case 'C':
        this.#moveColumn(count)
        return
      case 'D':
        this.#moveColumn(-count)
        return
      case 'E':
        this.#moveTo(this.#at + count, 0)
        return
      case 'F':
        this.#moveTo(this.#at - count, 0)
        return
      case 'G':
        this.#moveTo(this.#at, count - 1)
        return
      case 'K':
        this.#current.row.erase(parameters)
        return
      case 'J':
        this.#eraseBelow(parameters)
        return
      case 'H':
      case 'f':
        this.#leavePage()
        return
    }
  }

  /** Takes what stands there and was not taken, finished or not. */
  takeChanges(): void {
    for (const each of this.#changed()) {
      each.shown = each.row.colouredText
      this.#take(each.shown)
    }
    this.#changedFrom = this.#rows.length
  }

  #changed(): ShownRow[] {
    const rows = this.#rows.slice(this.#changedFrom)
    return rows.filter(({ row, shown }) => row.colouredText !== '' && row.colouredText !== shown)
  }

  /** The row of the cursor, which is about to be changed. */
  get #current(): ShownRow {
    this.#changedFrom = Math.min(this.#changedFrom, this.#at)
    const current = this.#rows[this.#at]
    if (current === undefined) throw new RangeError('The cursor is outside of the screen.')
    return current
  }

  #grow(): void {
    this.takeChanges()
    const last = this.#rows.at(-1)
    if (last !== undefined && last.shown === undefined) this.#take('') // an empty line is a line, too
    this.#rows.push(blank())
    if (this.#rows.length > KEPT_ROWS) this.#rows.shift()
    this.#at = this.#rows.length - 1
    this.#changedFrom = this.#at
  }

  #eraseBelow(parameters: string): void {
    if (parameters === '2' || parameters === '3') {
      this.#leavePage()
      return
    }
    this.#current.row.erase(parameters)
    for (const { row } of this.#rows.slice(this.#at + 1)) row.erase('2')
  }

  /** A full-screen program begins again at the top; for a log that is below. */
  #leavePage(): void {
    this.#moveTo(this.#rows.length - 1, 0)
    if (this.#current.row.text !== '') this.#grow()
  }

  #moveTo(at: number, column: number): void {
    this.#at = Math.min(this.#rows.length - 1, Math.max(0, at))
    this.#current.row.column = Math.min(MAX_ROW - 1, column)
  }

  #moveColumn(by: number): void {
    const { row } = this.#current
    row.column = Math.min(MAX_ROW - 1, Math.max(0, row.column + by))
  }
}

function blank(): ShownRow {
  return { row: new Row(), shown: undefined }
}
