import { basename } from 'node:path'
import { LoopfleetError } from '../../base/index.js'

/** A plug-in file cannot be used; the sentence names file, key, value and the way out. */
export class PluginFileError extends LoopfleetError {
  static {
    this.prototype.name = 'PluginFileError'
  }
  constructor(problem: string, details: { readonly file: string; readonly key?: string }, cause?: unknown) {
    super('LF_BAD_PLUGIN', `${basename(details.file)}: ${problem} [${details.file}]`, { details, cause })
  }
}
