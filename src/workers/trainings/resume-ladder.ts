import { LoopfleetError } from '../../base/index.js'
import { looksOutOfMemory } from '../../executors/contract/index.js'
import type { ResumeAnswer } from '../../executors/training/index.js'

/** What is there to begin with, and what has failed already. */
export type Ladder = {
  /** What the checkpoint in the workspace is good for. */
  readonly checkpoint: ResumeAnswer
  /** Marks of what a resume has failed with, or a check has refused: one try each. */
  readonly failed: ReadonlySet<string>
  /** The checkpoint in the workspace. */
  readonly mark: string
  readonly hasEarlier: boolean
  /** The best model so far; undefined if there is none, or the trainer has no `train.continue`. */
  readonly bestMark: string | undefined
  /** How far the training has come, 0 to 1; null if unknown. */
  readonly progress: number | null
  /** Up to that progress a training may begin again from scratch. */
  readonly scratchBelow: number
}

export type Next =
  | { readonly start: 'resume' | 'best-model' | 'scratch' }
  /** An earlier checkpoint is to be restored, and then asked about. */
  | { readonly restore: 'earlier' }
  /** The program had finished. */
  | { readonly end: 'finished' }
  /** Nothing is left to begin with. */
  | { readonly end: 'none-left' }

export const SCRATCH_MARK = 'scratch'

/**
 * What an attempt at a training begins with; a pure function. Without a checkpoint, and without one that has failed, that is the
 * command of the order: only what has failed is a step down.
 */
export function nextStart(ladder: Ladder): Next {
  const { checkpoint, failed, mark, bestMark, progress, scratchBelow } = ladder
  const isFresh = !failed.has(mark)
  if (checkpoint.kind === 'finished' && isFresh) return { end: 'finished' }
  if (checkpoint.kind === 'resume' && isFresh) return { start: 'resume' }
  if (checkpoint.kind === 'none' && failed.size === 0) return { start: 'scratch' }
  if (ladder.hasEarlier) return { restore: 'earlier' }
  if (bestMark !== undefined && !failed.has(bestMark)) return { start: 'best-model' }
  const mayBeginAgain = progress === null || progress < scratchBelow
  if (mayBeginAgain && !failed.has(SCRATCH_MARK)) return { start: 'scratch' }
  return { end: 'none-left' }
}

/** What a program says if the machine is to blame, and not what it began with: missing modules, disks, drivers and cards. */
const OF_THE_HOST =
  /No module named|ImportError|GLIBC|cannot open shared object|No space left on device|Disk quota exceeded|Input\/output error|Read-only file system|Permission denied|Too many open files|Connection (?:refused|reset)|\bCUDA\b|\bcuda\w*Error|\bNVML\b|\bNCCL\b|\bcuDNN\b|cudnn|nvidia-smi|no CUDA-capable device/i
const MAX_LINE = 2000

export type FailedStart = {
  readonly exitCode: number | null
  readonly signal: string | null
  readonly outOfMemory: boolean
  readonly reported: string | null
  readonly lastLogLines: readonly string[]
}

/**
 * Whether what the program began with is to blame for its end. A program that was killed, lacked memory, or names its machine or GPU
 * says nothing of its checkpoint.
 */
export function blamesItsStart(end: FailedStart): boolean {
  const isKilled = end.signal !== null && end.signal !== 'SIGSEGV' && end.signal !== 'SIGABRT'
  if (isKilled || end.outOfMemory || looksOutOfMemory(end)) return false
  return ![...end.lastLogLines, end.reported ?? ''].some((line) => OF_THE_HOST.test(line.slice(0, MAX_LINE)))
}

/** No checkpoint can be resumed, and there is no model to end with. */
export class NoResumeError extends LoopfleetError {
  static {
    this.prototype.name = 'NoResumeError'
  }
  constructor(details: { readonly trainingId: string }) {
    const text =
      'Nothing can be resumed, no model was made, and the training had come too far to begin again by itself (resume.scratch_below)'
    const way = 'read its log for what failed, then order it again'
    super('LF_NO_RESUME', `${text}; ${way}.`, { details })
  }
}
