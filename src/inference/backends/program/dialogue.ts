import { setTimeout as sleep } from 'node:timers/promises'
import { isWithin } from '../../../base/index.js'
import type { Program, ProgramExit } from '../../../process/index.js'
import { InferenceError } from '../../basics/index.js'
import { readFrames, writeFrame } from './frames.js'

type Pending = { readonly resolve: (message: unknown) => void; readonly reject: (error: unknown) => void }

const EXIT_MS = 1000

/** Question and answer with one program; its death, or a frame that is none, fails the question and ends it. */
export class Dialogue {
  readonly #program: Program
  #pending: Pending | undefined
  #failure: unknown

  constructor(program: Program) {
    this.#program = program
    void this.#listen()
  }

  get pid(): number {
    return this.#program.pid
  }

  /** One question at a time; rejects with LF_INFERENCE_PROGRAM_DIED, or LF_INFERENCE_TIMEOUT after ending the program. */
  async ask(header: object, pieces: readonly Uint8Array[], timeoutMs: number): Promise<unknown> {
    const { channel } = this.#program
    if (this.#failure !== undefined) throw this.#failure
    if (channel === undefined) throw new Error('the program was started without a channel')
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#pending = { resolve, reject }
    })
    const timer = setTimeout(() => this.#fail(lateError(timeoutMs)), timeoutMs)
    try {
      writeFrame(channel.toProgram, header, pieces)
      return await answer
    } finally {
      clearTimeout(timer)
      this.#pending = undefined
    }
  }

  /** Closes its input, at which it should end by itself, and ends it if it does not within the grace. */
  async close(graceMs: number): Promise<void> {
    this.#failure ??= new InferenceError('LF_INFERENCE_CLOSED', 'The inference pool is closed.')
    this.#program.channel?.toProgram.end()
    await isWithin(this.#program.exited, graceMs)
    await this.#program.end({ graceMs: 500 })
  }

  /** Kills it without a grace time. */
  async kill(): Promise<void> {
    await this.#program.end({ graceMs: 0 })
  }

  async #listen(): Promise<void> {
    const { channel } = this.#program
    try {
      for await (const message of channel === undefined ? [] : readFrames(channel.fromProgram)) {
        this.#pending?.resolve(message)
      }
    } catch (error) {
      if (error instanceof InferenceError) return this.#fail(error)
    }
    const exit = await Promise.race([this.#program.exited, sleep(EXIT_MS, undefined, { ref: false })])
    this.#fail(diedError(exit ?? undefined, this.#program.lastLines()))
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#pending?.reject(this.#failure)
    void this.kill()
  }
}

function lateError(timeoutMs: number): InferenceError {
  const message = `The detector program gave no answer within ${timeoutMs} ms; it is started again.`
  return new InferenceError('LF_INFERENCE_TIMEOUT', message, { details: { timeoutMs } })
}

function diedError(exit: ProgramExit | undefined, lastLogLines: readonly string[]): InferenceError {
  const { exitCode = null, signal = null } = exit ?? {}
  const how = signal !== null ? `signal ${signal}` : exitCode !== null ? `exit code ${exitCode}` : 'closed its pipe'
  const last = lastLogLines.at(-1)
  const message = `The detector program ended (${how})${last === undefined ? '' : `: ${last}`}.`
  const details = { exitCode, signal, lastLogLines }
  return new InferenceError('LF_INFERENCE_PROGRAM_DIED', message, { failure: 'transient', details })
}
