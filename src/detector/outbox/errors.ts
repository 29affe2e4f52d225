import { LoopfleetError, messageOf } from '../../base/index.js'

/** The disk did not take an image; nothing of it is left behind. */
export class OutboxWriteError extends LoopfleetError {
  static {
    this.prototype.name = 'OutboxWriteError'
  }
  constructor(details: { readonly folder: string }, cause: unknown) {
    super(
      'LF_OUTBOX_WRITE',
      `The image was not kept, since the outbox ${details.folder} cannot be written: ${messageOf(cause)}. ` +
        'Make room on its disk or give it another folder.',
      { details, cause, failure: 'transient' },
    )
  }
}

/** There is no room for an image, and none may be made for it. */
export class OutboxFullError extends LoopfleetError {
  static {
    this.prototype.name = 'OutboxFullError'
  }
  constructor(details: { readonly bytes: number; readonly maxImages: number; readonly maxBytes: number }) {
    super(
      'LF_OUTBOX_FULL',
      `The image of ${details.bytes} bytes was not kept, since it finds no room in the outbox beside what goes ahead ` +
        `of it (${details.maxImages} images, ${details.maxBytes} bytes); raise the limits or let the outbox upload.`,
      { details, failure: 'transient' },
    )
  }
}

/** An outbox that has not started or was stopped keeps no images. */
export class OutboxClosedError extends LoopfleetError {
  static {
    this.prototype.name = 'OutboxClosedError'
  }
  constructor() {
    super('LF_OUTBOX_CLOSED', 'The image was not kept, since the outbox is not running.', { failure: 'transient' })
  }
}
