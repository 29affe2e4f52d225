/** A model file: when it was written and first made, and the number in its name. */
export type DatedFile = {
  readonly mtimeMs: number
  readonly bornMs?: number
  readonly named?: { readonly epoch: number; readonly isMarked: boolean } | undefined
}
/** Collects the epochs that a script reports, and returns to which one a model file belongs. */
export type ModelEpochs = {
  readonly hasTable: boolean
  /** The epoch of the table's last row. */
  inTable(epoch: number, writtenAtMs: number): void
  /** A line of the log, and when it was read from the program. */
  inLog(epoch: number, readAtMs: number): void
  /** A model file is there, whether or not it is ever set aside. */
  saw(file: DatedFile): void
  /** Later lines are not read, so from now on the log says of no file to which epoch it belongs. */
  endOfLog(): void
  /** Undefined if it is unknown. */
  of(file: DatedFile): number | undefined
}

type Told = { readonly epoch: number; readonly atMs: number }

const KEPT = 1000
/** A script that saves its model before it writes the row or prints the line does so right after it. */
const TOLD_AFTER_MS = 2000
/** Times of files are those of the kernel's last tick, ours are in whole milliseconds. */
const TICK_MS = 5

/**
 * The one rule for epochs, numbered as the script numbers them: the row of the results table that was written with the
 * file, then the number in the file's name, then the line of the log that was printed before or with the file. Where
 * several rows came at the same time, the name chooses among them. A name that says `epoch` and differs from the table by more
 * than the count from 0 or 1 shows that the table is written late, and counts instead.
 */
export function createModelEpochs(startedAtMs: number): ModelEpochs {
  const rows: Told[] = []
  const lines: Told[] = []
  let firstLineMs = Number.POSITIVE_INFINITY
  let firstFileMs = Number.POSITIVE_INFINITY
  let isLogOver = false
  return {
    get hasTable() {
      return rows.length > 0
    },
    inTable: (epoch, atMs) => add(rows, { epoch, atMs }),
    inLog(epoch, atMs) {
      firstLineMs = Math.min(firstLineMs, atMs)
      add(lines, { epoch, atMs })
    },
    saw({ mtimeMs, bornMs = mtimeMs }) {
      const times = [mtimeMs, bornMs].filter((time) => time >= startedAtMs)
      firstFileMs = Math.min(firstFileMs, ...times)
    },
    endOfLog() {
      isLogOver = true
    },
    of({ mtimeMs, named }) {
      const row = rowOf(rows, mtimeMs)
      if (row === undefined)
        return (
          named?.epoch ?? (isLogOver ? undefined : lineOf(lines, mtimeMs, isToldRightAfter(firstFileMs, firstLineMs)))
        )
      if (named === undefined) return row.epoch
      const { epoch, isMarked } = named
      if (isMarked && Math.abs(epoch - row.epoch) > 1) return epoch
      return row.among.some((other) => other !== row.epoch) && isBetween(epoch, row.among) ? epoch : row.epoch
    },
  }
}

function add(list: Told[], told: Told): void {
  list.push(told)
  if (list.length > KEPT) list.shift()
}

/** The newest row before the file, or the one right after it if that one is nearer; `among` if more lie between them. */
function rowOf(rows: readonly Told[], mtimeMs: number) {
  const before = rows.findLast(({ atMs }) => atMs <= mtimeMs)
  const after = rows.find(({ atMs }) => atMs > mtimeMs)
  if (after === undefined || after.atMs - mtimeMs > TOLD_AFTER_MS) {
    return before === undefined ? undefined : { epoch: before.epoch, among: [] }
  }
  const among = before === undefined || after.epoch - before.epoch > 1 ? [before?.epoch ?? 0, after.epoch] : []
  const isAfter = before === undefined || after.atMs - mtimeMs < mtimeMs - before.atMs
  return { epoch: isAfter ? after.epoch : before.epoch, among }
}

/**
 * The last line before the file. A script that saves a small model right after its line has done so before we read the
 * line, and one that prints `epoch 3 done` does so after it has saved; of those the nearer line counts.
 */
function lineOf(lines: readonly Told[], mtimeMs: number, isToldAfter: boolean): number | undefined {
  const before = lines.findLast(({ atMs }) => atMs <= mtimeMs)
  const after = lines.find(({ atMs }) => atMs > mtimeMs)
  if (!isToldAfter || after === undefined || after.atMs - mtimeMs > TOLD_AFTER_MS) return before?.epoch
  return before === undefined || after.atMs - mtimeMs < mtimeMs - before.atMs ? after.epoch : before.epoch
}

/** The first line decides: only a script that prints a line for each epoch when it begins has one before any model. */
function isToldRightAfter(firstFileMs: number, firstLineMs: number): boolean {
  const afterMs = firstLineMs - firstFileMs // NaN when there is neither
  return afterMs > -TICK_MS && afterMs <= TOLD_AFTER_MS
}

function isBetween(epoch: number, among: readonly number[]): boolean {
  return epoch >= Math.min(...among) && epoch <= Math.max(...among)
}

/** The number that a file's name has: behind the word epoch, or in place of the star. */
export function epochInName(name: string, star: string | undefined): DatedFile['named'] {
  const marked = /(?:^|[^a-z])ep(?:och)?s?[ _=-]?(\d{1,9})(?!\d)/i.exec(name)
  if (marked !== null) return { epoch: Number(marked[1]), isMarked: true }
  return star !== undefined && /^\d{1,9}$/.test(star) ? { epoch: Number(star), isMarked: false } : undefined
}
