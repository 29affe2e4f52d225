import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { confusionMatrixSchema } from '../../../loop/protocol/index.js'
import { readOffset } from '../../contract/index.js'
import type { HookLimit } from './hook-limit.js'
import { LogTail } from './log-tail.js'
import type { BestState, ModelFiles, TrainerLogic, Training } from './trainer-logic.js'

const LOOK_EVERY_MS = 5000
const PUBLISHED_WITHIN_MS = 30_000
const PUBLISHED_WHEN_ENDING_MS = 2000
const ASK_EVERY_MS = 50

const bestSchema = z.object({
  confusionMatrix: confusionMatrixSchema.optional(),
  epoch: z.int().min(0).optional(),
  values: z.record(z.string(), z.number()).optional(),
})

/** The training has said in its log why it cannot go on. */
class LogSaysError extends Error {}

/** Asks the hooks of a running training now and then, and reports what they answer. */
export class Lookout {
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

  static async open(logic: TrainerLogic, training: Training, limit: HookLimit): Promise<Lookout> {
    const log = await LogTail.open(join(training.folder, 'last_training.log'))
    return new Lookout(logic, training, limit, log)
  }

  /** Until the signal; throws HookFailedError or LogSaysError. */
  async keepLooking(signal: AbortSignal): Promise<void> {
    const everyMs = this.#logic.lookEveryMs ?? LOOK_EVERY_MS
    while (!signal.aborted) {
      await this.#look()
      await sleep(everyMs, undefined, { signal }).catch(() => undefined) // ended early: the last look comes next
    }
  }

  /** When the work is over: what was not seen yet, and the models that nobody has set aside yet. */
  async lastLook(): Promise<void> {
    if (this.#logic.errorInLog !== undefined) await this.#log.rest()
    await this.#look()
    const { signal } = this.#training
    const startedAt = performance.now()
    while (this.#unpublished.length > 0) {
      const waited = performance.now() - startedAt
      if (waited > (signal.aborted ? PUBLISHED_WHEN_ENDING_MS : PUBLISHED_WITHIN_MS)) return
      await sleep(ASK_EVERY_MS)
      await this.#tellPublished()
    }
  }

  async #look(): Promise<void> {
    await this.#lookAtLog()
    await this.#lookForBest()
    await this.#lookAtProgress()
    await this.#tellPublished()
  }

  async #lookAtProgress(): Promise<void> {
    const { progress } = this.#logic
    if (progress === undefined) return
    const fraction = await this.#limit.call('progress', () => progress(this.#training))
    if (typeof fraction === 'number') this.#training.report.progress(fraction)
  }

  async #lookAtLog(): Promise<void> {
    const { errorInLog } = this.#logic
    if (errorInLog === undefined) return
    const log = await this.#log.read()
    const message = log === '' ? null : await this.#limit.call('errorInLog', () => errorInLog(log, this.#training))
    if (typeof message === 'string') throw new LogSaysError(message)
  }

  async #lookForBest(): Promise<void> {
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

  async #tellPublished(): Promise<void> {
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
