import { resolve } from 'node:path'
import type { Logger } from '../../base/logger/index.js'
import { loadTrainerDefinition, type TrainerDefinition } from '../definition/index.js'
import { isPluginFile } from './plugin-command.js'
import { loadTrainerPlugin } from './trainer-plugin/load-trainer-plugin.js'

export type LoadTrainerDeps = {
  /** This process's environment; a plug-in sees the allowed names only. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Logger
}

/** Reads a trainer: YAML, or a plug-in (.js, .mjs, .ts). Throws LF_BAD_TRAINER_FILE or LF_BAD_PLUGIN. */
export async function loadTrainer(path: string, deps: LoadTrainerDeps): Promise<TrainerDefinition> {
  if (!isPluginFile(path)) return loadTrainerDefinition(path)
  return loadTrainerPlugin({ file: resolve(path), env: deps.env }, deps)
}
