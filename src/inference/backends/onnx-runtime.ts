import process from 'node:process'
import { fileURLToPath } from 'node:url'
import type * as Ort from 'onnxruntime-node'
import { hasCode, messageOf } from '../../base/index.js'
import { InferenceError } from '../basics/index.js'

export type OnnxRuntimeDeps = {
  /** Imports a package by its name or a module by its file URL. */
  readonly importModule?: (specifier: string) => Promise<unknown>
  readonly platform?: string
}

const PACKAGE = 'onnxruntime-node'
/** Made by scripts/vendor-onnxruntime.mjs when the package is packed; three folders above this module once compiled. */
const VENDORED = new URL('../../../../vendor/onnxruntime-node/dist/index.js', import.meta.url)

/**
 * ONNX Runtime: the installation's own onnxruntime-node if there is one, else the CPU libraries that this package
 * carries for Linux. One that is installed but does not load is an error, never a reason to take the other
 * (docs/adr/0018). Throws LF_RUNTIME_MISSING.
 */
export async function loadOnnxRuntime(deps: OnnxRuntimeDeps = {}): Promise<typeof Ort> {
  const { importModule = importAny, platform = process.platform } = deps
  const installed = await importIfPresent(PACKAGE, importModule)
  if (installed !== undefined) return installed
  const vendored = platform === 'linux' ? await importIfPresent(VENDORED.href, importModule) : undefined
  if (vendored !== undefined) return vendored
  throw missing('it is not installed')
}

async function importIfPresent(
  specifier: string,
  importModule: (specifier: string) => Promise<unknown>,
): Promise<typeof Ort | undefined> {
  try {
    return toRuntime(await importModule(specifier))
  } catch (cause) {
    if (isAbsent(cause, specifier)) return undefined
    throw missing(`${specifier} is installed but fails: ${firstLine(cause)}`, cause)
  }
}

/** Only the module itself, not something that it imports. */
function isAbsent(cause: unknown, specifier: string): boolean {
  if (!hasCode(cause, 'ERR_MODULE_NOT_FOUND')) return false
  const name = specifier.startsWith('file:') ? fileURLToPath(specifier) : specifier
  return messageOf(cause).includes(`'${name}'`)
}

// Node guesses the names that a CommonJS module exports; the whole module is always its `default`.
function toRuntime(module: unknown): typeof Ort {
  if (!isRuntimeModule(module)) throw new Error('it exports no InferenceSession')
  return module.default
}

function isRuntimeModule(module: unknown): module is { readonly default: typeof Ort } {
  if (typeof module !== 'object' || module === null || !('default' in module)) return false
  const { default: whole } = module
  return typeof whole === 'object' && whole !== null && 'InferenceSession' in whole
}

function importAny(specifier: string): Promise<unknown> {
  return import(specifier)
}

function missing(what: string, cause?: unknown): InferenceError {
  const way = 'install it with "ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node@1.30.0"'
  return new InferenceError('LF_RUNTIME_MISSING', `ONNX Runtime cannot be loaded (${what}); ${way}.`, { cause })
}

function firstLine(thrown: unknown): string {
  return (messageOf(thrown).split('\n')[0] ?? '').replace(/\.$/, '')
}
