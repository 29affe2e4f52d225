import { z } from 'zod'
import { LoopfleetError, messageOf } from '../../base/index.js'

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

/**
 * Redis came back empty or older: it does not have the record of what is at work here, or an older one. Nothing is ended by
 * that, but nothing is written or sent either, since nobody knows what else was lost.
 */
export class RecordLostError extends LoopfleetError {
  static {
    this.prototype.name = 'RecordLostError'
  }
  constructor(details: { readonly what: string; readonly run: number; readonly found: number | null }) {
    super('LF_RECORD_LOST', lostSentence(details.what, details), { details })
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
