import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../base/logger/index.js'
import { BoundedLog } from './bounded-log.js'
import { createLineReader, type OutputReader } from './output/output-reader.js'

export type ProgramOutputOptions = {
  readonly logFile: string
  readonly maxLogBytes: number
  /** Reads the output beside the file; without it `onOutput` gets the lines. */
  readonly reader?: OutputReader
  readonly onOutput?: (line: string) => void
  /** Called whenever the program has printed something. */
  readonly onActivity?: () => void
}

const SILENCE_MS = 500

/** Takes a program's output to its log file and to a reader, at the pace of the slower one. */
export class ProgramOutput {
  readonly #log: BoundedLog
  readonly #reader: OutputReader
  readonly #onActivity: () => void
  #pumping: Promise<void> = Promise.resolve()
  #source: Readable | undefined
  #receivedBytes = 0
  #isBusy = false
  #ended = false

  private constructor(log: BoundedLog, reader: OutputReader, onActivity: () => void) {
    this.#log = log
    this.#reader = reader
    this.#onActivity = onActivity
  }

  static async open(options: ProgramOutputOptions, deps: { readonly log: Logger }): Promise<ProgramOutput> {
    const onLoss = (err: unknown): void => deps.log.warn({ err, logFile: options.logFile }, 'program log not writable')
    const log = await BoundedLog.open(options.logFile, { maxBytes: options.maxLogBytes, onLoss })
    const { reader, onOutput, onActivity = () => undefined } = options
    return new ProgramOutput(log, reader ?? createLineReader(guarded(onOutput, deps.log)), onActivity)
  }

  start(source: Readable): void {
    this.#source = source
    this.#pumping = this.#pump(source)
  }

  lastLines(): string[] {
    return this.#reader.last()
  }

  /** Reads the rest of the pipe; a descendant that escaped and holds the pipe open is not waited for. */
  async finish(): Promise<void> {
    this.#reader.hurry()
    let seenBytes = -1
    while (!this.#ended && (this.#isBusy || seenBytes !== this.#receivedBytes)) {
      seenBytes = this.#receivedBytes
      const timer = new AbortController()
      await Promise.race([this.#pumping, sleep(SILENCE_MS, undefined, { signal: timer.signal }).catch(() => {})])
      timer.abort()
    }
    this.#source?.destroy()
    await this.#pumping
    await this.#reader.finish()
    await this.#log.close().catch(() => undefined) // the error of the disk was logged before
  }

  async #pump(source: Readable): Promise<void> {
    try {
      for await (const chunk of source) {
        if (!Buffer.isBuffer(chunk)) continue
        const readAtMs = Date.now()
        this.#receivedBytes += chunk.length
        this.#onActivity()
        this.#isBusy = true
        await Promise.all([this.#log.write(chunk), this.#reader.feed(chunk, readAtMs)])
        this.#isBusy = false
      }
    } catch {
      // The pipe was closed by finish(): what was to come is not wanted any more.
    }
    this.#isBusy = false
    this.#ended = true
  }
}

/** A listener's mistake is logged once and does not stop the log. */
function guarded(listener: ((line: string) => void) | undefined, log: Logger): ((line: string) => void) | undefined {
  if (listener === undefined) return undefined
  let told = false
  return (line) => {
    try {
      listener(line)
    } catch (err) {
      if (!told) log.error({ err }, 'listener of the program output failed')
      told = true
    }
  }
}
