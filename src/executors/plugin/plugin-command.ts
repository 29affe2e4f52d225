import { createRequire } from 'node:module'
import { extname } from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Command } from '../definition/index.js'
import { PluginFileError } from './errors.js'

const JAVASCRIPT = ['.js', '.mjs', '.cjs']
const TYPESCRIPT = ['.ts', '.mts', '.cts']

/** Whether a trainer or converter file is a plug-in, by its ending; anything else is YAML. */
export function isPluginFile(file: string): boolean {
  return [...JAVASCRIPT, ...TYPESCRIPT].includes(extname(file))
}

/**
 * The command that starts one of our entry modules for a plug-in, in a Node of its own. TypeScript needs a Node that
 * reads it (22.18 and newer) or `tsx` beside the plug-in; throws LF_BAD_PLUGIN without either.
 */
export function pluginCommand(entry: URL, file: string, ...args: readonly string[]): Command {
  return [process.execPath, ...loaderFor(file), fileURLToPath(entry), file, ...args]
}

function loaderFor(file: string): string[] {
  if (!TYPESCRIPT.includes(extname(file)) || readsTypeScript()) return []
  const tsx = find('tsx', file) ?? find('tsx', fileURLToPath(import.meta.url))
  if (tsx !== undefined) return ['--import', pathToFileURL(tsx).href]
  const out = 'compile it to JavaScript, install "tsx" beside it, or use Node 22.18 or newer'
  throw new PluginFileError(`Node ${process.versions.node} cannot read TypeScript; ${out}.`, { file })
}

function readsTypeScript(): boolean {
  const kind: unknown = Reflect.get(process.features, 'typescript')
  return kind !== undefined && kind !== false
}

function find(name: string, from: string): string | undefined {
  try {
    return createRequire(from).resolve(name)
  } catch {
    return undefined
  }
}
