import { plainText } from '../../base/terminal/index.js'
import type { OutputAudience } from '../../executors/program/index.js'
import { createLogWriter, type LogWriter, type LogWriterOptions } from './log-writer.js'

/** What people read of a run of a training or a conversion, from all its steps. */
export type RunOutput = {
  /** Lines for the log that every machine can follow; they may have colours. */
  write(...lines: readonly string[]): void
  /** So many lines are missing here. */
  lose(count: number): void
  /** Writes what is held back, as far as the pace allows it now. */
  flush(): void
  /** Writes what is left; never rejects. */
  close(): Promise<void>
  /** See `OutputAudience`: a pattern that is off stays off for all programs of the run. */
  readonly offPatterns: Set<string>
}

export function createRunOutput(append: (text: string) => Promise<void>, options: LogWriterOptions): RunOutput {
  const writer = createLogWriter((lines) => append(lines.map((line) => `${line}\n`).join('')), options)
  const { write, lose, flush } = writer
  return { write, lose, flush, close: () => writer.close(), offPatterns: new Set() }
}

/** What a step says and what its programs print, in the log of its job; without colours. */
export function createJobLog(
  job: { log(...lines: readonly string[]): Promise<void> },
  options: LogWriterOptions,
): LogWriter {
  const writer = createLogWriter((lines) => job.log(...lines), options)
  return { ...writer, write: (...lines) => writer.write(...lines.map(plainText)) }
}

/** Brings what programs print to the log of the run and to that of the job. */
export function toAudience(
  output: RunOutput,
  jobLog: Pick<LogWriter, 'write' | 'lose'>,
  warn: OutputAudience['warn'],
): OutputAudience {
  return {
    show({ head, lost, tail }) {
      for (const log of [output, jobLog]) {
        log.write(...head)
        log.lose(lost)
        log.write(...tail)
      }
    },
    warn,
    offPatterns: output.offPatterns,
  }
}
