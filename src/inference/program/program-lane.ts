import type { Logger } from '../../base/logger.js'
import type { ProgramBackend } from '../backend.js'
import { InferenceError } from '../errors.js'
import type { Lane } from '../lane.js'

export type ProgramLaneOptions = {
  readonly backend: ProgramBackend
  readonly timeoutMs: number
  readonly loadMs: number
  readonly confidence: 'unit' | 'percent'
  readonly maxPixels: number
}

export function openProgramLane(_options: ProgramLaneOptions, _deps: { readonly log: Logger }): Lane {
  throw new InferenceError(
    'LF_BACKEND_UNUSABLE',
    'Programs cannot be started yet; use a module or ONNX. (LF_INFERENCE_PROGRAM_DIED comes with them.)',
  )
}
