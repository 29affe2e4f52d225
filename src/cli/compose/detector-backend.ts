import { join, resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { InvalidInputError } from '../../base/index.js'
import { hostEnvironment } from '../../config/index.js'
import { allowedVariables } from '../../executors/contract/index.js'
import type { BackendChoice } from '../../inference/index.js'

export type BackendKind = 'onnx' | 'program' | 'module' | 'mock'

export type BackendFlags = {
  readonly backend: BackendKind
  readonly module?: string
  readonly program?: readonly [string, ...string[]]
  readonly format?: string
  readonly folder: string
}

const MOCK = fileURLToPath(new URL('../../mock/nodes/mock-detector.js', import.meta.url))

/** What runs the models, and in which format it wants them. Throws LF_INVALID_INPUT when a flag is missing. */
export function toBackendChoice(flags: BackendFlags): { readonly choice: BackendChoice; readonly format: string } {
  const { backend, module, program, folder } = flags
  if (module !== undefined && backend !== 'module') throw unused('--module', 'module', backend)
  if (program !== undefined && backend !== 'program') throw unused('--program', 'program', backend)
  const format = flags.format ?? (backend === 'mock' ? 'mocked' : 'onnx')
  switch (backend) {
    case 'onnx':
      return { format, choice: { kind: 'onnx' } }
    case 'mock':
      return { format, choice: { kind: 'module', file: MOCK } }
    case 'module':
      if (module === undefined) throw new InvalidInputError('--backend module needs --module with a file.')
      return { format, choice: { kind: 'module', file: resolve(module) } }
    case 'program': {
      if (program === undefined) throw new InvalidInputError('--backend program needs --program with a command.')
      const env = { ...allowedVariables(hostEnvironment()), PYTHONUNBUFFERED: '1' }
      const logFile = join(folder, 'logs', 'detector-program.log')
      return { format, choice: { kind: 'program', command: program, cwd: process.cwd(), env, logFile } }
    }
    default:
      return backend satisfies never
  }
}

function unused(flag: string, wanted: BackendKind, backend: BackendKind): InvalidInputError {
  return new InvalidInputError(`${flag} means nothing to --backend ${backend}; add --backend ${wanted}.`)
}
