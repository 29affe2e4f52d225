import { resolve } from 'node:path'
import { loadConverterDefinition } from '../definition/index.js'
import { type Converter, toConverter } from '../program/index.js'
import { loadConverterPlugin } from './converter-plugin/load-converter-plugin.js'
import type { LoadTrainerDeps } from './load-trainer.js'
import { isPluginFile } from './plugin-command.js'

/** Reads a converter: YAML, or a plug-in (.js, .mjs, .ts). Throws LF_BAD_CONVERTER_FILE or LF_BAD_PLUGIN. */
export async function loadConverter(path: string, deps: LoadTrainerDeps): Promise<Converter> {
  if (!isPluginFile(path)) return toConverter(await loadConverterDefinition(path))
  return loadConverterPlugin({ file: resolve(path), env: deps.env }, deps)
}
