import { LoopfleetError } from '../../base/index.js'
import type { ModelTarget } from './target.js'

/** No model can answer yet, or no more. */
export class NoDetectorModelError extends LoopfleetError {
  static {
    this.prototype.name = 'NoDetectorModelError'
  }
  constructor(why: string) {
    super('LF_DETECTOR_NO_MODEL', `The detector has no model: ${why}.`, { failure: 'transient' })
  }
}

/** The old model was freed to make room for the new one, which is not ready yet. */
export class DetectorUpdatingError extends LoopfleetError {
  static {
    this.prototype.name = 'DetectorUpdatingError'
  }
  constructor(version: string) {
    super('LF_DETECTOR_UPDATING', `The detector is updating its model to version ${version}; try again later.`, {
      failure: 'transient',
      details: { version },
    })
  }
}

/** What was asked for is no version that this detector can run; the choice before stays. */
export class ModelVersionError extends LoopfleetError {
  static {
    this.prototype.name = 'ModelVersionError'
  }
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super('LF_DETECTOR_VERSION', message, options)
  }
}

/** A model that must not be served; the one before goes on. */
export class BadModelError extends LoopfleetError {
  static {
    this.prototype.name = 'BadModelError'
  }
  constructor(model: ModelTarget | string, problem: string, cause?: unknown) {
    const name = typeof model === 'string' ? model : `version ${model.version}`
    super('LF_DETECTOR_BAD_MODEL', `The model ${name} is refused: ${problem.replace(/\.$/, '')}.`, { cause })
  }
}

/** Another model, or none, was asked for before this update was done. */
export class UpdateSupersededError extends LoopfleetError {
  static {
    this.prototype.name = 'UpdateSupersededError'
  }
  constructor(version: string) {
    super('LF_DETECTOR_SUPERSEDED', `The update to version ${version} was given up, since it is wanted no more.`)
  }
}
