import { LoopfleetError } from '../../base/index.js'

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
