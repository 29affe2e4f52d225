import { LoopfleetError } from '../../base/errors.js'

/** A record was written by a newer build. */
export class RecordTooNewError extends LoopfleetError {
  static {
    this.prototype.name = 'RecordTooNewError'
  }
  constructor(details: { readonly id: string; readonly written: number; readonly reads: number }) {
    const { id, written, reads } = details
    super(
      'LF_RECORD_TOO_NEW',
      `Record ${id} was written with protocol ${written}, and this version reads up to ${reads}; update this one.`,
      { details },
    )
  }
}

/** Redis or a data folder was used by a build whose data this one may not read. */
export class DataTooNewError extends LoopfleetError {
  static {
    this.prototype.name = 'DataTooNewError'
  }
  constructor(details: { readonly where: string; readonly least: number; readonly reads: number }) {
    const { where, least, reads } = details
    super(
      'LF_DATA_TOO_NEW',
      `The data in ${where} need a version with protocol ${least} or newer, and this one has ${reads}; update it, or use other data.`,
      { details },
    )
  }
}
