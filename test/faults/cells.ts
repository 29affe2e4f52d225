import { type Stage, stages } from '../../src/queue/jobs/names.js'
import { createRandom, seedOf, shuffled } from '../helpers/random.js'

/** What is done to a training in each of its stages. */
export const faults = [
  'worker-killed',
  'node-killed',
  'host-killed',
  'loop-away',
  'status-500',
  'too-many',
  'too-many-retry-after',
  'session-expired',
  'answer-lost',
  'answer-short',
  'answer-cut',
] as const
export type Fault = (typeof faults)[number]

/** One place of the table; what happens there by chance depends on the cell alone. */
export type Cell = { readonly stage: Stage; readonly fault: Fault; readonly seed: number }

export type CellChoice = { readonly stage?: Stage | undefined; readonly fault?: Fault | undefined }

/** The whole table, in the order of the stages. */
export function allCells(seed: number, { stage, fault }: CellChoice = {}): readonly Cell[] {
  const cells = stages.flatMap((each) => faults.map((one) => ({ stage: each, fault: one, seed })))
  return cells.filter((cell) => (stage ?? cell.stage) === cell.stage && (fault ?? cell.fault) === cell.fault)
}

/** A part of the table in which every stage and every fault comes at least once. */
export function sampleOfCells(seed: number): readonly Cell[] {
  const random = createRandom(seedOf(seed, 'sample'))
  const [rows, columns] = [shuffled(stages, random), shuffled(faults, random)]
  const count = Math.max(rows.length, columns.length)
  return Array.from({ length: count }, (_, index) => ({
    stage: rows[index % rows.length] ?? 'train',
    fault: columns[index % columns.length] ?? 'worker-killed',
    seed,
  }))
}

/** The chance of a cell. */
export function randomOf({ stage, fault, seed }: Cell): () => number {
  return createRandom(seedOf(seed, stage, fault))
}

/** How to run this cell again, by itself. */
export function replayCommand({ stage, fault, seed }: Cell, options: { readonly short: boolean }): string {
  return `npm run test:faults -- --seed ${seed} --stage ${stage} --fault ${fault}${options.short ? ' --short' : ''}`
}
