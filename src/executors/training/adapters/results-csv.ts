import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import { messageOf } from '../../../base/index.js'
import type { Logger } from '../../../base/logger/index.js'
import type { ProgressEvent, TrainerEvent } from '../../contract/index.js'
import type { EventSource } from '../event-source.js'
import { readTable } from './read-table.js'
import type { EpochRow, TableRows } from './table-rows.js'

export type ResultsCsvOptions = {
  readonly workspace: string
  /** The table inside the workspace: a line of column names, then rows with an epoch. */
  readonly file: string
  /** How many epochs there will be, when it is known; makes rows into progress. */
  readonly epochs?: number
  /** What the table calls the first epoch; without it 1 if the table begins with 1, else 0. */
  readonly firstEpoch?: number
  readonly everyMs?: number
}
export type ResultsCsvDeps = {
  readonly push: (event: TrainerEvent) => void
  /** Called after each change of the table with the epoch of the last row and the time at which it was written. */
  readonly onEpoch?: (epoch: number, writtenAtMs: number) => void
  /** A line for people. */
  readonly say?: (line: string) => void
  readonly log: Logger
}
/** The followed table. */
export type ResultsTable = EventSource & {
  /** Reads the table now, for a caller that needs its current content. */
  look(): Promise<void>
}

const EVERY_MS = 100
/** However long the table is, reading it takes at most a twentieth of the time. */
const REST = 20
/** Epochs reported per reading: a program that rewrites all its figures each time must not flood the journal. */
const MAX_CHANGED = 500

/**
 * Makes every epoch of a results table a `metrics` event, and the last one a `progress` event. The table is read whole
 * whenever it has changed, and what differs is reported, so it may be rewritten, get more columns, or begin again. What it holds at the start belongs to an earlier start and is passed over.
 */
export async function openResultsCsv(options: ResultsCsvOptions, deps: ResultsCsvDeps): Promise<ResultsTable> {
  const path = join(options.workspace, options.file)
  const reported = new Map<number, string>()
  let mark: string | undefined
  let furthest = -1
  let isUnreadable = false
  let hasSaid = false
  const inTurn = pLimit(1)

  /** One reading after the other. Returns how long it took. */
  function read(isWhole: boolean, report: (rows: TableRows) => void): Promise<number> {
    return inTurn(() => readNow(isWhole, report))
  }

  async function readNow(isWhole: boolean, report: (rows: TableRows) => void): Promise<number> {
    const startedAt = performance.now()
    const table = await readTable(path, { unless: mark, isWhole }).catch((error: unknown) => {
      if (!isUnreadable) deps.log.warn({ file: path, reason: messageOf(error) }, 'results table not read')
      isUnreadable = true
      return undefined
    })
    if (table === undefined) return 0
    mark = table.mark
    report(table.rows)
    if (table.rows.last !== undefined && table.rows.hasEpochs) deps.onEpoch?.(table.rows.last, table.mtimeMs)
    return performance.now() - startedAt
  }

  function changedEpochs({ epochs }: TableRows): (readonly [number, EpochRow])[] {
    const changed = [...epochs].filter(([epoch, found]) => reported.get(epoch) !== textOf(found))
    for (const [epoch, found] of changed) reported.set(epoch, textOf(found))
    return changed
  }

  function reportAll(rows: TableRows): void {
    if (rows.hasNamelessFigures && !hasSaid) {
      hasSaid = true
      deps.say?.(`rows of ${options.file} have more values than it has column names; their figures are unknown`)
    }
    for (const [epoch, found] of changedEpochs(rows).slice(-MAX_CHANGED)) {
      deps.push({ event: 'metrics', epoch, values: numbersOf(found) })
    }
    const progress = toProgress(rows, options)
    if (progress === undefined || progress.epoch <= furthest) return // a table that is just being rewritten
    furthest = progress.epoch
    deps.push(progress)
  }

  await read(false, changedEpochs)
  return {
    async follow(signal) {
      while (!signal.aborted) {
        const tookMs = await read(false, reportAll)
        const restMs = Math.max(options.everyMs ?? EVERY_MS, tookMs * REST)
        await sleep(restMs, undefined, { signal }).catch(() => undefined) // an abort ends the loop
      }
    },
    async drain({ endedWell }) {
      await read(endedWell, reportAll)
    },
    async look() {
      await read(false, reportAll)
    },
  }
}

type LastEpoch = ProgressEvent & { readonly epoch: number }

function toProgress(
  { last: epoch, lowest, hasEpochs }: TableRows,
  { epochs, firstEpoch }: ResultsCsvOptions,
): LastEpoch | undefined {
  if (epoch === undefined || !hasEpochs) return undefined
  if (epochs === undefined) return { event: 'progress', progress: undefined, epoch }
  const first = firstEpoch ?? (lowest === 1 ? 1 : 0)
  const progress = Math.min(1, Math.max(0, (epoch + 1 - first) / epochs))
  return { event: 'progress', progress, epoch, epochs }
}

/** With its row: a resumed program may come to the same figures again. */
function textOf(found: EpochRow): string {
  return JSON.stringify([found.row, ...Object.entries(numbersOf(found)).sort(([a], [b]) => (a < b ? -1 : 1))])
}

function numbersOf({ values }: EpochRow): Record<string, number> {
  return Object.fromEntries([...values].flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}
