import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Logger } from '../../../base/logger/index.js'
import { checkPixels, type ImageSize, type OwnedImage } from '../../../images/index.js'
import { bytesOf, decodePixels } from '../../../images/pixels/index.js'
import { startProgram } from '../../../process/index.js'
import { InferenceError } from '../../basics/index.js'
import { parseGiven } from '../../findings/given-findings.js'
import type { ProgramBackend } from '../backend.js'
import { Recovery } from '../recovery.js'
import type { Batch, ImageAnswer, Outage, Runner, RunnerDeps, StartedBatch } from '../runner.js'
import { toThreadError } from '../thread-error.js'
import { Dialogue } from './dialogue.js'
import { answersSchema, imageErrorSchema, parseMessage, startAnswerSchema } from './messages.js'

export type ProgramRunnerDeps = RunnerDeps & { readonly log: Logger }

export type ProgramOptions = {
  readonly backend: ProgramBackend
  readonly timeoutMs: number
  readonly loadMs: number
  readonly confidence: 'unit' | 'percent'
  readonly maxPixels: number
}

/** Folder of loopfleet_detector.py; on the PYTHONPATH of every detector program. */
const detectorHelperFolder = fileURLToPath(new URL('../python', import.meta.url))

const PROTOCOL = 1
const GRACE_MS = 2000
const MAX_LOG_BYTES = 10 * 1024 * 1024

/** An external program under supervision: frames in, detections out. One that ends is started again. */
export class ProgramRunner implements Runner {
  readonly takesBundles = false
  readonly wantsBatches = true
  readonly warnings = []
  readonly threadIds = new Set<number>()
  maxImages = 1
  readonly #options: ProgramOptions
  readonly #deps: ProgramRunnerDeps
  readonly #recovery: Recovery
  #dialogue: Dialogue | undefined
  #wants: 'encoded' | 'pixels' = 'encoded'
  #questions = 0
  #isReady = false
  #isBusy = false
  #isClosed = false

  constructor(options: ProgramOptions, deps: ProgramRunnerDeps) {
    this.#options = options
    this.#deps = deps
    this.#recovery = new Recovery({
      isWhole: () => this.#isReady,
      restore: () => this.start(),
      onChange: deps.onChange,
      log: deps.log,
    })
  }

  get free(): number {
    return this.#isReady && !this.#isBusy ? 1 : 0
  }

  get width(): number {
    return this.#isReady ? 1 : 0
  }

  get outage(): Outage | undefined {
    return this.#isReady ? undefined : this.#recovery.outage
  }

  async start(): Promise<void> {
    await this.#dialogue?.kill()
    if (this.#isClosed) throw new InferenceError('LF_INFERENCE_CLOSED', 'The inference pool is closed.')
    const dialogue = await this.#open()
    this.#dialogue = dialogue
    if (this.#isClosed) await dialogue.kill()
    const { modelFolder: folder, categories, resolution = null } = this.#options.backend
    const model = { folder, categories, resolution }
    const answer = await dialogue.ask({ type: 'start', protocol: PROTOCOL, model }, [], this.#options.loadMs)
    const ready = parseMessage(startAnswerSchema, answer)
    if (ready.type === 'failed') {
      throw new InferenceError('LF_BACKEND_UNUSABLE', `The detector program could not load its model: ${ready.error}`)
    }
    this.#wants = ready.images
    this.maxImages = ready.max_images
    this.threadIds.add(dialogue.pid)
    this.#isReady = true
  }

  run(images: readonly OwnedImage[]): StartedBatch {
    this.#isBusy = true
    return { done: this.#run(images), begun: () => images.length }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#recovery.end()
    await this.#dialogue?.close(GRACE_MS)
  }

  async #run(images: readonly OwnedImage[]): Promise<Batch> {
    try {
      const batch = await this.#detect(images)
      this.#recovery.succeeded()
      return batch
    } catch (error) {
      this.#isReady = false
      if (!this.#isClosed) this.#recovery.begin(error)
      throw error
    } finally {
      this.#isBusy = false
      this.#deps.onChange()
    }
  }

  async #detect(images: readonly OwnedImage[]): Promise<Batch> {
    const dialogue = this.#dialogue
    if (dialogue === undefined) throw new InferenceError('LF_INFERENCE_CLOSED', 'The program was never started.')
    const frames = await Promise.allSettled(images.map((image) => this.#toFrame(image)))
    const good = frames.flatMap((frame) => (frame.status === 'fulfilled' ? [frame.value] : []))
    const startedAt = performance.now()
    const given = good.length === 0 ? [] : await this.#ask(dialogue, good)
    let next = 0
    const answers = frames.map((frame): ImageAnswer => {
      if (frame.status === 'rejected') return { ok: false, error: toThreadError(frame.reason) }
      return this.#toAnswer(given[next++], frame.value)
    })
    return { answers, threadId: dialogue.pid, workMs: performance.now() - startedAt }
  }

  async #open(): Promise<Dialogue> {
    const { command, cwd, env, logFile = join(cwd, 'detector-program.log') } = this.#options.backend
    const pythonPath = [detectorHelperFolder, env.PYTHONPATH].filter((path) => path !== undefined)
    const program = await startProgram(
      {
        command,
        cwd,
        env: {
          PYTHONUNBUFFERED: '1',
          ...env,
          PYTHONPATH: pythonPath.join(delimiter),
          LOOPFLEET_DETECTOR_IN: '4',
          LOOPFLEET_DETECTOR_OUT: '5',
        },
        logFile,
        maxLogBytes: MAX_LOG_BYTES,
        owner: 'detector-program',
        graceMs: GRACE_MS,
        hasChannel: true,
      },
      this.#deps,
    )
    return new Dialogue(program)
  }

  async #ask(dialogue: Dialogue, frames: readonly Frame[]): Promise<readonly unknown[]> {
    const id = this.#questions++
    const images = frames.map(({ header, data }) => ({ ...header, bytes: data.byteLength }))
    const pieces = frames.map(({ data }) => data)
    const message = await dialogue.ask({ type: 'detect', id, images }, pieces, this.#options.timeoutMs * frames.length)
    const { answers, id: answered } = parseMessage(answersSchema, message)
    if (answered === id && answers.length === frames.length) return answers
    throw new InferenceError(
      'LF_BACKEND_UNUSABLE',
      `The detector program gave ${answers.length} answers to question ${answered}; expected ${frames.length} to ${id}.`,
      { failure: 'program' },
    )
  }

  async #toFrame(image: OwnedImage): Promise<Frame> {
    if (this.#wants === 'pixels') {
      const decoded = await decodePixels(image, this.#options.maxPixels)
      const { pixels: data, width, height, channels } = decoded
      return { header: { kind: 'pixels', width, height, channels }, data, size: { width, height } }
    }
    if (!('pixels' in image)) return { header: { kind: 'encoded' }, data: await bytesOf(image), size: undefined }
    checkPixels(image)
    const { pixels: data, width, height, channels } = image
    return { header: { kind: 'pixels', width, height, channels }, data, size: { width, height } }
  }

  #toAnswer(given: unknown, { size }: Frame): ImageAnswer {
    const { backend, confidence } = this.#options
    const failed = imageErrorSchema.safeParse(given)
    try {
      if (failed.success) throw programError(failed.data)
      const options = { categories: backend.categories, confidence }
      return { ok: true, findings: parseGiven(given, { size, where: backend.command.join(' '), options }) }
    } catch (error) {
      return { ok: false, error: toThreadError(error) }
    }
  }
}

type Frame = { readonly header: object; readonly data: Uint8Array; readonly size: ImageSize | undefined }

function programError(failed: { readonly error: string; readonly bad_image: boolean }): InferenceError {
  if (failed.bad_image) return new InferenceError('LF_IMAGE_UNREADABLE', `The detector refused it: ${failed.error}.`)
  return new InferenceError('LF_INFERENCE_FAILED', `The detector program failed on the image: ${failed.error}.`)
}
