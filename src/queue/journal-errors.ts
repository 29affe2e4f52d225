import { z } from 'zod'
import { LoopfleetError, messageOf } from '../base/errors.js'

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
