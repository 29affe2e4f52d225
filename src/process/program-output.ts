import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../base/logger.js'
import { BoundedLog } from './bounded-log.js'
import { OutputLines } from './output-lines.js'

export type ProgramOutputOptions = {
  readonly logFile: string
  readonly maxLogBytes: number
  readonly onOutput?: (line: string) => void
}

const SILENCE_MS = 500

/** Takes a program's output to its log file and its lines to whoever listens, at the pace of the disk. */
export class ProgramOutput {
  readonly #log: BoundedLog
  readonly #lines: OutputLines
  #pumping: Promise<void> = Promise.resolve()
  #source: Readable | undefined
  #receivedBytes = 0
  #ended = false

  private constructor(log: BoundedLog, lines: OutputLines) {
    this.#log = log
    this.#lines = lines
  }

  static async open(options: ProgramOutputOptions, deps: { readonly log: Logger }): Promise<ProgramOutput> {
    const onLoss = (err: unknown): void => deps.log.warn({ err, logFile: options.logFile }, 'program log not writable')
    const log = await BoundedLog.open(options.logFile, { maxBytes: options.maxLogBytes, onLoss })
    return new ProgramOutput(log, new OutputLines(guarded(options.onOutput, deps.log)))
  }

  start(source: Readable): void {
    this.#source = source
    this.#pumping = this.#pump(source)
  }

  lastLines(): string[] {
    return this.#lines.last()
  }

  /** Takes what is still in the pipe; whoever escaped and holds the pipe open is not waited for. */
  async finish(): Promise<void> {
    let seenBytes = -1
    while (!this.#ended && seenBytes !== this.#receivedBytes) {
      seenBytes = this.#receivedBytes
      const patience = new AbortController()
      await Promise.race([this.#pumping, sleep(SILENCE_MS, undefined, { signal: patience.signal }).catch(() => {})])
      patience.abort()
    }
    this.#source?.destroy()
    await this.#pumping
    await this.#log.close().catch(() => undefined) // a disk that failed has been told of
  }

  async #pump(source: Readable): Promise<void> {
    try {
      for await (const chunk of source) {
        if (!Buffer.isBuffer(chunk)) continue
        this.#receivedBytes += chunk.length
        this.#lines.feed(chunk)
        await this.#log.write(chunk)
      }
    } catch {
      // The pipe was closed by finish(): what was to come is not wanted any more.
    }
    this.#lines.finish()
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
