import { askResume, type ResumeAnswer } from '../../executors/training/index.js'
import { markOf } from '../checkpoints/contents.js'
import { layOutBestAsBase, layOutOrderedBase } from './base-model.js'
import { hasFiles, type ModelSet } from './model-sets.js'
import { type Next, nextStart, SCRATCH_MARK } from './resume-ladder.js'
import type { StageContext, StageDeps } from './stages/stage.js'
import { writeTrainingFile } from './training-file.js'

/** What the next start of the program begins with, or why there is none. */
export type Start = Exclude<Next, { restore: unknown }> & {
  /** Notes that the program has failed with it. */
  failed(): Promise<void>
}

export type Starts = { next(): Promise<Start> }

/** Brings into the workspace what the program can begin with; `restored` is the mark of what was restored before. */
export function openStarts(context: StageContext, deps: StageDeps, restored: string | undefined): Starts {
  const { training, say } = context
  const { starts, definition, paths } = training
  let current = restored
  let hasEarlier = training.checkpoints !== undefined

  async function next(): Promise<Start> {
    for (;;) {
      const mark = await markOf(paths.workspace, definition, starts.epoch)
      const checkpoint = starts.failed.has(mark) ? ({ kind: 'none' } as const) : await ask()
      const failed = () => starts.noteFailed(...[mark, current].filter((each) => each !== undefined))
      if (checkpoint.kind === 'unusable') {
        say(`the checkpoint is not used: ${checkpoint.problem}`)
        await failed()
      }
      const best = await bestSet()
      const found = nextStart({
        ...{ checkpoint, mark, hasEarlier, failed: starts.failed, bestMark: best && bestMark(best) },
        ...{ progress: starts.furthest, scratchBelow: definition.resume.scratch_below },
      })
      if ('restore' in found) await restoreEarlier()
      else return await prepare(found, best, failed)
    }
  }

  async function restoreEarlier(): Promise<void> {
    current = await training.checkpoints?.restoreEarlier(say, { failed: starts.failed })
    training.modelSets.reload()
    hasEarlier = current !== undefined
  }

  async function prepare(
    found: Exclude<Next, { restore: unknown }>,
    best: ModelSet | undefined,
    failed: Start['failed'],
  ): Promise<Start> {
    if (!('start' in found) || found.start === 'resume') return { ...found, failed }
    if (found.start === 'best-model' && best !== undefined) {
      await layOutBestAsBase(best, training)
      await writeTrainingFile(training, { bestModel: true })
      return { ...found, failed: () => starts.noteFailed(bestMark(best)) }
    }
    await layOutOrderedBase(training)
    await writeTrainingFile(training)
    return { ...found, failed: () => starts.noteFailed(SCRATCH_MARK) }
  }

  async function bestSet(): Promise<ModelSet | undefined> {
    if (definition.train.continue === undefined) return undefined
    return (await training.modelSets.list()).findLast(hasFiles)
  }

  function ask(): Promise<ResumeAnswer> {
    const { order, owner, programEnv: env, lease } = training
    const { workspace, log: logFile } = paths
    const { signal, audience, log } = context
    const options = { definition, workspace, order, gpus: lease?.visible ?? [], owner, env, logFile, signal, audience }
    return askResume(options, { log, outputThread: deps.outputThread, say })
  }

  return { next }
}

function bestMark({ sequence }: ModelSet): string {
  return `best model ${sequence}`
}
