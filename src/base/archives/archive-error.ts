import { LoopfleetError } from '../index.js'

/** An archive that is broken, or that would do what an archive must not do. Nothing of it was kept. */
export class ArchiveRefusedError extends LoopfleetError {
  static {
    this.prototype.name = 'ArchiveRefusedError'
  }
  constructor(
    details: { readonly archive: string; readonly problem: string; readonly entry?: string },
    cause?: unknown,
  ) {
    const where = details.entry === undefined ? '' : ` (entry ${JSON.stringify(details.entry.slice(0, 200))})`
    const problem = details.problem.replace(/\.+$/, '')
    super('LF_ARCHIVE_REFUSED', `The archive ${details.archive} was refused: ${problem}${where}.`, {
      details,
      cause,
    })
  }
}
