import { LoopfleetError } from '../../base/index.js'

/** A user's inputs come faster than the tool can follow; the Loop gets this in an error envelope. */
export class AnnotatorBusyError extends LoopfleetError {
  static {
    this.prototype.name = 'AnnotatorBusyError'
  }
  constructor(maxWaiting: number) {
    const message = `${maxWaiting} inputs of this user wait already; the annotation tool cannot follow.`
    super('LF_ANNOTATOR_BUSY', message, { details: { maxWaiting }, failure: 'transient' })
  }
}

/** The user pressed Escape or has gone, or the node ends: the reason with which work on an input is given up. */
export class InputGivenUpError extends LoopfleetError {
  static {
    this.prototype.name = 'InputGivenUpError'
  }
  constructor() {
    super('LF_INPUT_GIVEN_UP', 'The input was given up.')
  }
}

/** The Loop's socket is down, so an annotation could not be stored. */
export class AnnotatorOfflineError extends LoopfleetError {
  static {
    this.prototype.name = 'AnnotatorOfflineError'
  }
  constructor() {
    const message = 'The annotator has no connection to the Loop just now; try again in a few seconds.'
    super('LF_ANNOTATOR_OFFLINE', message, { failure: 'transient' })
  }
}

/** The image to be annotated cannot be had from the Loop, or is no whole JPEG. */
export class AnnotationImageError extends LoopfleetError {
  static {
    this.prototype.name = 'AnnotationImageError'
  }
  constructor(
    image: { readonly organization: string; readonly project: string; readonly imageId: string },
    problem: string,
  ) {
    const { organization, project, imageId } = image
    super('LF_ANNOTATION_IMAGE', `Image ${imageId} of ${organization}/${project} ${problem}.`, { details: { imageId } })
  }
}

/** A tool did not answer an input in time; its history of that user is dropped. */
export class ToolTimeoutError extends LoopfleetError {
  static {
    this.prototype.name = 'ToolTimeoutError'
  }
  constructor(timeoutMs: number) {
    const message = `The annotation tool did not answer within ${timeoutMs / 1000} s; begin again.`
    super('LF_TOOL_TIMEOUT', message, { details: { timeoutMs }, failure: 'transient' })
  }
}

/** A tool answered something that is no result, or its file is no tool; the sentence says what is wrong. */
export class AnnotationToolError extends LoopfleetError {
  static {
    this.prototype.name = 'AnnotationToolError'
  }
  constructor(message: string, cause?: unknown) {
    super('LF_ANNOTATION_TOOL', message, { cause })
  }
}
