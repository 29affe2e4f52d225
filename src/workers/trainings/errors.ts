import { LoopfleetError, messageOf } from '../../base/index.js'
import { killedForMemory } from '../../executors/contract/index.js'

/** The Loop has no image to train on; ordering again after labelling helps, retrying does not. */
export class NoImagesError extends LoopfleetError {
  static {
    this.prototype.name = 'NoImagesError'
  }
  constructor(details: {
    readonly organization: string
    readonly project: string
    readonly set: 'complete' | 'train'
  }) {
    const what = details.set === 'complete' ? 'no image in state "complete"' : 'no image in the train set'
    super(
      'LF_NO_IMAGES',
      `Project ${details.organization}/${details.project} has ${what}; label some, then train again.`,
      {
        details,
      },
    )
  }
}

const NO_MEMORY = 'as the kernel does it when the machine is out of memory'

/** The training program ended without being asked to, and not well. */
export class TrainerExitedError extends LoopfleetError {
  static {
    this.prototype.name = 'TrainerExitedError'
  }
  constructor(details: {
    readonly exitCode: number | null
    readonly signal: string | null
    readonly reported: string | null
    readonly lastLogLines: readonly string[]
    /** Its output said so. */
    readonly outOfMemory?: boolean
  }) {
    const how = details.signal === null ? `exited with code ${details.exitCode}` : `was ended by ${details.signal}`
    const why = details.reported ?? (killedForMemory(details) ? NO_MEMORY : lastErrorLine(details.lastLogLines))
    super('LF_TRAINER_EXITED', `The trainer ${how}${why === undefined ? '.' : `: ${why}`}`, {
      details,
      failure: 'program',
    })
  }
}

/** The program ended well but reported no model, or the files of its model are gone. */
export class NoModelError extends LoopfleetError {
  static {
    this.prototype.name = 'NoModelError'
  }
  constructor(message: string, details: Readonly<Record<string, unknown>> = {}) {
    super('LF_NO_MODEL', message, { details })
  }
}

/** A file that is to be uploaded is cut off, or one that it refers to is missing. */
export class ModelIncompleteError extends LoopfleetError {
  static {
    this.prototype.name = 'ModelIncompleteError'
  }
  constructor(details: { readonly format: string; readonly problem: string }) {
    const text = `The model in format "${details.format}" is not whole: ${details.problem}; correct the trainer or its "upload", start its worker again, and retry the training.`
    super('LF_MODEL_INCOMPLETE', text, { details })
  }
}

/** So many runs in a row that brought nothing (their host died each time) end a training. */
export const MAX_FRUITLESS_RUNS = 5

/** Hosts that took the training died or lost it again and again before anything was gained. */
export class FruitlessRunsError extends LoopfleetError {
  static {
    this.prototype.name = 'FruitlessRunsError'
  }
  constructor(trainingId: string) {
    super('LF_FRUITLESS_RUNS', `Training ${trainingId} was taken five times in a row without a step forward.`, {
      details: { trainingId },
    })
  }
}

/** The program fails of itself: on every host that could run it, or on enough of those on which others finish. */
export class FailsOnEveryHostError extends LoopfleetError {
  static {
    this.prototype.name = 'FailsOnEveryHostError'
  }
  constructor(hosts: readonly string[], cause: unknown) {
    super('LF_FAILS_ON_EVERY_HOST', `It fails on every host (${hosts.join(', ')}): ${messageOf(cause)}`, {
      details: { hosts },
      cause,
    })
  }
}

/** Its programs failed too often within a day, although each of them gained something. */
export class FailedTooOftenError extends LoopfleetError {
  static {
    this.prototype.name = 'FailedTooOftenError'
  }
  constructor(failures: number, cause: unknown) {
    super('LF_FAILED_TOO_OFTEN', `It failed ${failures} times within a day, the last time so: ${messageOf(cause)}`, {
      details: { failures },
      cause,
    })
  }
}

/** No failure: the next attempt at its program is for another host. */
export class MovesToOtherHostError extends LoopfleetError {
  static {
    this.prototype.name = 'MovesToOtherHostError'
  }
  readonly avoid: readonly string[]
  readonly avoidMs: number | undefined
  constructor(how: {
    readonly avoid: readonly string[]
    readonly avoidMs: number | undefined
    readonly cause: unknown
  }) {
    super('LF_MOVES_TO_OTHER_HOST', `The next attempt is for a host other than ${how.avoid.join(', ')}.`, {
      details: { avoid: how.avoid },
      cause: how.cause,
    })
    this.avoid = how.avoid
    this.avoidMs = how.avoidMs
  }
}

/** The host a worker was started on has no such trainer; its queue should not be served here. */
export class UnknownTrainerError extends LoopfleetError {
  static {
    this.prototype.name = 'UnknownTrainerError'
  }
  constructor(trainer: string) {
    super('LF_UNKNOWN_TRAINER', `This worker has no trainer "${trainer}"; start it with --trainer FILE of that name.`, {
      details: { trainer },
    })
  }
}

function lastErrorLine(lines: readonly string[]): string | undefined {
  return lines
    .findLast((line) => line.trim() !== '')
    ?.trim()
    .slice(0, 300)
}
