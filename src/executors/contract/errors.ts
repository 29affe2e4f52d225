import { LoopfleetError } from '../../base/index.js'
import { killedForMemory } from './out-of-memory.js'

/** A trainer's YAML file is wrong; the sentence names file, key, value and the way out. */
export class TrainerFileError extends LoopfleetError {
  static {
    this.prototype.name = 'TrainerFileError'
  }
  constructor(message: string, details: { readonly file: string; readonly key?: string }, cause?: unknown) {
    super('LF_BAD_TRAINER_FILE', message, { details, cause })
  }
}

/** A converter's YAML file is wrong; the sentence names file, key, value and the way out. */
export class ConverterFileError extends LoopfleetError {
  static {
    this.prototype.name = 'ConverterFileError'
  }
  constructor(message: string, details: { readonly file: string; readonly key?: string }, cause?: unknown) {
    super('LF_BAD_CONVERTER_FILE', message, { details, cause })
  }
}

/** The order asks for what this trainer cannot do; trying again does not help. */
export class OrderNotPossibleError extends LoopfleetError {
  static {
    this.prototype.name = 'OrderNotPossibleError'
  }
  constructor(message: string, details: Readonly<Record<string, unknown>>) {
    super('LF_ORDER_NOT_POSSIBLE', message, { details })
  }
}

/** The Loop's data cannot be written as a dataset: nothing to train on, or an id that is no safe file name. */
export class DatasetError extends LoopfleetError {
  static {
    this.prototype.name = 'DatasetError'
  }
  constructor(message: string, details: Readonly<Record<string, unknown>> = {}) {
    super('LF_BAD_DATASET', message, { details })
  }
}

export type CommandFailure = {
  readonly command: string
  readonly exitCode: number | null
  readonly signal: string | null
  /** The known reason, from a line of the log that the trainer file lists. */
  readonly cause?: string
  readonly lastLogLines: readonly string[]
  /** Its output said so. */
  readonly outOfMemory?: boolean
}

/** A convert or detect command ended with anything but 0. */
export class CommandFailedError extends LoopfleetError {
  static {
    this.prototype.name = 'CommandFailedError'
  }
  readonly #end: string
  constructor(details: CommandFailure) {
    const end = howItEnded(details)
    super('LF_COMMAND_FAILED', `The command ${details.command} ${end}.`, { details, failure: 'program' })
    this.#end = end
  }
  /** How it ended, with its last line: the predicate of a sentence. */
  get end(): string {
    return this.#end
  }
}

/** A command took longer than it may and was ended. */
export class CommandTimedOutError extends LoopfleetError {
  static {
    this.prototype.name = 'CommandTimedOutError'
  }
  constructor(details: {
    readonly command: string
    readonly timeoutMs: number
    readonly lastLogLines?: readonly string[]
  }) {
    super('LF_COMMAND_TIMED_OUT', `The command ${details.command} took longer than ${details.timeoutMs / 1000} s.`, {
      details,
      failure: 'program',
    })
  }
}

/** The model lacks what the converter's command needs; trying again does not help. */
export class ModelNotConvertibleError extends LoopfleetError {
  static {
    this.prototype.name = 'ModelNotConvertibleError'
  }
  constructor(message: string, details: Readonly<Record<string, unknown>> = {}) {
    super('LF_MODEL_NOT_CONVERTIBLE', message, { details })
  }
}

/** More GPUs are asked for than the host offers at all, so the work waits for another one. */
export class NotEnoughGpusError extends LoopfleetError {
  static {
    this.prototype.name = 'NotEnoughGpusError'
  }
  constructor(details: { readonly wanted: number; readonly present: number; readonly reason: string | null }) {
    const { wanted, present, reason } = details
    const why = reason === null ? '' : ` (${reason})`
    super(
      'LF_NOT_ENOUGH_GPUS',
      `${wanted === 1 ? 'A GPU is' : `${wanted} GPUs are`} needed, but this host offers ${present}${why}.`,
      {
        details,
        failure: 'transient',
      },
    )
  }
}

/** The host has GPUs that cannot be read, so it offers none, and nothing runs on its CPU instead. */
export class GpusUnreadableError extends LoopfleetError {
  static {
    this.prototype.name = 'GpusUnreadableError'
  }
  constructor(reason: string) {
    super(
      'LF_GPUS_UNREADABLE',
      `The GPUs of this host cannot be read (${reason}); repair the driver, or start the worker with --gpus none.`,
      { details: { reason }, failure: 'transient' },
    )
  }
}

function howItEnded(details: CommandFailure): string {
  const how =
    details.signal === null ? `exited with code ${details.exitCode}` : `was ended by ${details.signal} from outside`
  if (details.cause !== undefined) return `${how}: ${details.cause}`
  if (killedForMemory(details)) return `${how}, as the kernel does it when the machine is out of memory`
  const last = details.lastLogLines.findLast((line) => line.trim() !== '')
  return last === undefined ? `${how} and printed nothing` : `${how}; its last line was: ${last.trim().slice(0, 300)}`
}
