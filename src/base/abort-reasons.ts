import { LoopfleetError } from './errors.js'

/** The Loop or a person asked to stop: end the program politely, keep the best model and go on with it. */
export class TrainingStoppedError extends LoopfleetError {
  static {
    this.prototype.name = 'TrainingStoppedError'
  }
  constructor() {
    super('LF_TRAINING_STOPPED', 'The training was asked to stop; its best model so far is kept.')
  }
}

/** The Loop or a person asked to abort: end everything and throw the work away. */
export class TrainingAbortedError extends LoopfleetError {
  static {
    this.prototype.name = 'TrainingAbortedError'
  }
  constructor() {
    super('LF_TRAINING_ABORTED', 'The training was aborted; its work is thrown away.')
  }
}

/** This worker is going down on purpose: give the job back so that it goes on here or elsewhere. */
export class WorkerShutdownError extends LoopfleetError {
  static {
    this.prototype.name = 'WorkerShutdownError'
  }
  constructor() {
    super('LF_WORKER_SHUTDOWN', 'The worker is shutting down; the training is handed back.')
  }
}

/** Another host has taken the training over (a higher run number): end the program and touch nothing outside. */
export class RunSupersededError extends LoopfleetError {
  static {
    this.prototype.name = 'RunSupersededError'
  }
  constructor(details: { readonly trainingId: string; readonly run: number }) {
    super('LF_RUN_SUPERSEDED', `Run ${details.run} of training ${details.trainingId} was superseded by a newer one.`, {
      details,
    })
  }
}
