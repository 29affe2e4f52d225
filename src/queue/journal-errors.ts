import { z } from 'zod'
import { type FailureClass, LoopfleetError, messageOf } from '../base/errors.js'

/** No training has this id. */
export class TrainingUnknownError extends LoopfleetError {
  static {
    this.prototype.name = 'TrainingUnknownError'
  }
  constructor(trainingId: string) {
    super(
      'LF_TRAINING_UNKNOWN',
      `There is no training ${JSON.stringify(trainingId)}; "loopfleet trainings" lists them.`,
      {
        details: { trainingId },
      },
    )
  }
}

/**
 * Redis came back empty or older: it does not have the record of what is at work here, or an older one. Nothing is ended by
 * that, but nothing is written or sent either, since nobody knows what else was lost.
 */
export class RecordLostError extends LoopfleetError {
  static {
    this.prototype.name = 'RecordLostError'
  }
  constructor(
    details: { readonly what: string; readonly run: number; readonly found: number | null },
    failure: FailureClass = 'fatal',
  ) {
    super('LF_RECORD_LOST', lostSentence(details.what, details), { details, failure })
  }
}

/** For people, in the log, in `status` and at the Loop. */
export function lostSentence(
  what: string,
  lost: { readonly found: number | null; readonly run: number; readonly folder?: string },
): string {
  const { found, run, folder } = lost
  const how =
    found === null
      ? `came back without the record of ${what}`
      : `came back with another record of ${what} (run ${found}, here is run ${run})`
  const [kept, way] =
    folder === undefined
      ? ['its models are kept on their host', 'abort it and order it again']
      : [`its files are kept in ${folder}`, 'abort it, order it again and delete that folder']
  return `Redis ${how}; nothing was ended and ${kept}: bring the data of Redis back, or ${way}.`
}

/** The training has ended and takes no further run. */
export class TrainingEndedError extends LoopfleetError {
  static {
    this.prototype.name = 'TrainingEndedError'
  }
  constructor(trainingId: string) {
    super('LF_TRAINING_ENDED', `Training ${trainingId} has ended.`, { details: { trainingId } })
  }
}

/** The beginning of an id that several trainings share. */
export class TrainingAmbiguousError extends LoopfleetError {
  static {
    this.prototype.name = 'TrainingAmbiguousError'
  }
  constructor(details: { readonly prefix: string; readonly ids: readonly string[] }) {
    super(
      'LF_TRAINING_AMBIGUOUS',
      `Several trainings begin with "${details.prefix}" (${details.ids.join(', ')}); give more of the id.`,
      { details },
    )
  }
}

/** A record in Redis is not one of ours, or of another version. */
export class RecordInvalidError extends LoopfleetError {
  static {
    this.prototype.name = 'RecordInvalidError'
  }
  constructor(key: string, cause: unknown) {
    const problem = cause instanceof z.ZodError ? describeIssue(cause) : messageOf(cause)
    super('LF_RECORD_INVALID', `The record ${key} in Redis cannot be read: ${problem}.`, { details: { key }, cause })
  }
}

function describeIssue(error: z.ZodError): string {
  const issue = error.issues[0]
  return `${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'invalid'}`
}
