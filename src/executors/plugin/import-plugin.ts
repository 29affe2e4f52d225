import { createRequire, register } from 'node:module'
import { pathToFileURL } from 'node:url'

/** What a plug-in file exports under its name; the caller knows its schema. */
export type Plugin = Readonly<Record<string, unknown>>

/**
 * Imports a plug-in and returns its export `<name>`, or what its export `create<Name>()` makes. Only for the child
 * process of a plug-in, since the code of a stranger runs here. Throws an Error whose message says what to do.
 */
export async function importPlugin(file: string, name: string): Promise<Plugin> {
  findOurselves(file)
  const exported = withDefault(await import(pathToFileURL(file).href))
  const maker = `create${name.slice(0, 1).toUpperCase()}${name.slice(1)}`
  const make = exported[maker]
  const plugin: unknown = exported[name] ?? (typeof make === 'function' ? await make() : undefined)
  if (isObject(plugin)) return plugin
  const names = Object.keys(exported).filter((key) => key !== 'default')
  const found = names.length === 0 ? 'nothing under a name' : names.join(', ')
  throw new Error(`must export an object "${name}" or a function "${maker}()", but exports ${found}`)
}

/** A CommonJS file may show its exports under `default` only. */
function withDefault(module: unknown): Plugin {
  if (!isObject(module)) return {}
  return isObject(module.default) ? { ...module.default, ...module } : module
}

function isObject(value: unknown): value is Plugin {
  return typeof value === 'object' && value !== null
}

/** A plug-in may lie anywhere: where it finds no `loopfleet` of its own, it gets this one. */
function findOurselves(file: string): void {
  try {
    createRequire(file).resolve('loopfleet/trainer')
  } catch {
    register('./resolve-ourselves.js', import.meta.url)
  }
}
