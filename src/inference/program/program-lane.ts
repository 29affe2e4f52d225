import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Logger } from '../../base/logger.js'
import type { ImageSize } from '../../images/image-size.js'
import { startProgram } from '../../process/program.js'
import type { ProgramBackend } from '../backend.js'
import { bytesOf, decodePixels } from '../decode-pixels.js'
import { InferenceError } from '../errors.js'
import { parseGiven } from '../given-findings.js'
import { checkPixels, type OwnedImage } from '../image-source.js'
import type { Lane, LaneAnswer, LaneRun, LaneStart } from '../lane.js'
import { toThreadError } from '../thread-error.js'
import { Dialogue } from './dialogue.js'
import { answersSchema, imageErrorSchema, parseMessage, startAnswerSchema } from './messages.js'

export type ProgramLaneOptions = {
  readonly backend: ProgramBackend
  readonly timeoutMs: number
  readonly loadMs: number
  readonly confidence: 'unit' | 'percent'
  readonly maxPixels: number
}

/** Folder of loopfleet_detector.py; on the PYTHONPATH of every detector program. */
export const detectorHelperFolder = fileURLToPath(new URL('../python', import.meta.url))

const PROTOCOL = 1
const GRACE_MS = 2000
const MAX_LOG_BYTES = 10 * 1024 * 1024

/** A lane whose work is done by an external program under supervision: frames in, detections out. */
export function openProgramLane(options: ProgramLaneOptions, deps: { readonly log: Logger }): Lane {
  return new ProgramLane(options, deps)
}

class ProgramLane implements Lane {
  readonly takesBundles = false
  begun = 0
  readonly #options: ProgramLaneOptions
  readonly #deps: { readonly log: Logger }
  #dialogue: Dialogue | undefined
  #wants: 'encoded' | 'pixels' = 'encoded'
  #questions = 0
  #isClosed = false

  constructor(options: ProgramLaneOptions, deps: { readonly log: Logger }) {
    this.#options = options
    this.#deps = deps
  }

  async start(): Promise<LaneStart> {
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
    return { threadId: dialogue.pid, maxImages: ready.max_images, wantsBatches: true }
  }

  async run(images: readonly OwnedImage[]): Promise<LaneRun> {
    const dialogue = this.#dialogue
    if (dialogue === undefined) throw new InferenceError('LF_INFERENCE_CLOSED', 'The program was never started.')
    const frames = await Promise.allSettled(images.map((image) => this.#toFrame(image)))
    const good = frames.flatMap((frame) => (frame.status === 'fulfilled' ? [frame.value] : []))
    this.begun = images.length
    const startedAt = performance.now()
    const given = good.length === 0 ? [] : await this.#ask(dialogue, good)
    let next = 0
    const answers = frames.map((frame): LaneAnswer => {
      if (frame.status === 'rejected') return { ok: false, error: toThreadError(frame.reason) }
      return this.#toAnswer(given[next++], frame.value)
    })
    return { answers, threadId: dialogue.pid, workMs: performance.now() - startedAt }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#dialogue?.close(GRACE_MS)
  }

  // The guard ends the program when this process is gone.
  prepareExit(): void {}

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

  #toAnswer(given: unknown, { size }: Frame): LaneAnswer {
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
