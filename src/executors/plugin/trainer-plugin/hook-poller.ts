import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { confusionMatrixSchema } from '../../../loop/protocol/index.js'
import { readOffset } from '../../contract/index.js'
import type { HookLimit } from './hook-limit.js'
import { LogTail } from './log-tail.js'
import type { BestState, ModelFiles, TrainerLogic, Training } from './trainer-logic.js'

const POLL_EVERY_MS = 5000
const PUBLISHED_WITHIN_MS = 30_000
const PUBLISHED_WHEN_ENDING_MS = 2000
const CHECK_OFFSET_EVERY_MS = 50

const bestSchema = z.object({
  confusionMatrix: confusionMatrixSchema.optional(),
  epoch: z.int().min(0).optional(),
  values: z.record(z.string(), z.number()).optional(),
})

/** The hook `errorInLog` has found an error in the log of the training. */
class ErrorInLogError extends Error {}

/** Calls the hooks of a running training at intervals, and reports what they return. */
export class HookPoller {
  readonly #logic: TrainerLogic
  readonly #training: Training
  readonly #limit: HookLimit
  readonly #log: LogTail
  #unpublished: { readonly best: BestState; readonly endOffset: number }[] = []

  private constructor(logic: TrainerLogic, training: Training, limit: HookLimit, log: LogTail) {
    this.#logic = logic
    this.#training = training
    this.#limit = limit
    this.#log = log
  }

  static async open(logic: TrainerLogic, training: Training, limit: HookLimit): Promise<HookPoller> {
    const log = await LogTail.open(join(training.folder, 'last_training.log'))
    return new HookPoller(logic, training, limit, log)
  }

  /** Polls until the signal is aborted; throws HookFailedError or ErrorInLogError. */
  async poll(signal: AbortSignal): Promise<void> {
    const everyMs = this.#logic.lookEveryMs ?? POLL_EVERY_MS
    while (!signal.aborted) {
      await this.#pollOnce()
      await sleep(everyMs, undefined, { signal }).catch(() => undefined) // the caller polls once more after the end
    }
  }

  /** After the work: reports the rest, and waits until the worker has set the last models aside. */
  async pollLast(): Promise<void> {
    if (this.#logic.errorInLog !== undefined) await this.#log.rest()
    await this.#pollOnce()
    const { signal } = this.#training
    const startedAt = performance.now()
    while (this.#unpublished.length > 0) {
      const waited = performance.now() - startedAt
      if (waited > (signal.aborted ? PUBLISHED_WHEN_ENDING_MS : PUBLISHED_WITHIN_MS)) return
      await sleep(CHECK_OFFSET_EVERY_MS)
      await this.#reportPublished()
    }
  }

  async #pollOnce(): Promise<void> {
    await this.#checkLog()
    await this.#checkBest()
    await this.#checkProgress()
    await this.#reportPublished()
  }

  async #checkProgress(): Promise<void> {
    const { progress } = this.#logic
    if (progress === undefined) return
    const fraction = await this.#limit.call('progress', () => progress(this.#training))
    if (typeof fraction === 'number') this.#training.report.progress(fraction)
  }

  async #checkLog(): Promise<void> {
    const { errorInLog } = this.#logic
    if (errorInLog === undefined) return
    const log = await this.#log.read()
    const message = log === '' ? null : await this.#limit.call('errorInLog', () => errorInLog(log, this.#training))
    if (typeof message === 'string') throw new ErrorInLogError(message)
  }

  async #checkBest(): Promise<void> {
    const { newBest } = this.#logic
    if (newBest === undefined) return
    const best = await this.#limit.call('newBest', () => newBest(this.#training))
    if (best === null || best === undefined) return
    const { endOffset } = await this.#limit.call('newBest', () => this.#report(best))
    if (this.#logic.published !== undefined) this.#unpublished.push({ best, endOffset })
  }

  async #report(best: BestState): Promise<{ readonly endOffset: number }> {
    const known = bestSchema.parse(best)
    const { modelFiles } = this.#logic
    const answer = best.files ?? (await modelFiles?.(best, this.#training))
    if (answer === undefined) throw new Error('it names no files, and there is no hook "modelFiles"')
    return this.#training.report.model({ ...known, files: byFormat(answer, this.#logic.format) })
  }

  async #reportPublished(): Promise<void> {
    const { published } = this.#logic
    if (published === undefined || this.#unpublished.length === 0) return
    const offset = await readOffset(this.#training.folder)
    const done = this.#unpublished.filter(({ endOffset }) => endOffset <= offset)
    this.#unpublished = this.#unpublished.filter(({ endOffset }) => endOffset > offset)
    for (const { best } of done) await this.#limit.call('published', () => published(best, this.#training))
  }
}

function byFormat(files: ModelFiles, format: string): Readonly<Record<string, readonly string[]>> {
  return isList(files) ? { [format]: files } : files
}

function isList(files: ModelFiles): files is readonly string[] {
  return Array.isArray(files)
}
