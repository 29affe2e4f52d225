import { dirname } from 'node:path'
import type { Logger } from '../../../base/logger/index.js'
import { checkTrainerFile, type TrainerDefinition } from '../../definition/index.js'
import { describePlugin, type PluginSource } from '../describe-plugin.js'
import { FUNCTION_MARK } from '../hook-schema.js'
import { pluginCommand } from '../plugin-command.js'
import { type TrainerPlugin, trainerPluginSchema } from './trainer-plugin-schema.js'

const HOOKS_PROGRAM = new URL('./hooks-main.js', import.meta.url)

/**
 * A plug-in becomes a trainer like any other: its commands start a Node that runs the hook. So all that holds for
 * training programs (guard, log, stop, lease, retries) holds for it. Throws LF_BAD_PLUGIN.
 */
export async function loadTrainerPlugin(
  source: PluginSource,
  deps: { readonly log: Logger },
): Promise<TrainerDefinition> {
  const { file } = source
  const plugin = await describePlugin({ ...source, name: 'trainer', schema: trainerPluginSchema }, deps)
  return { ...checkTrainerFile(toTrainerFile(plugin, file), file), folder: dirname(file), file }
}

function toTrainerFile(plugin: TrainerPlugin, file: string): Record<string, unknown> {
  const { name, format, architecture, models, dataset, upload, gpus, resolution, env, errors, checkpoint } = plugin
  const run = (...args: readonly string[]) => pluginCommand(HOOKS_PROGRAM, file, ...args)
  const when = (hook: unknown, ...args: readonly string[]) => (hook === undefined ? undefined : run(...args))
  return {
    ...{ name, format, architecture, models, dataset, upload, gpus, resolution, env, errors, checkpoint },
    train: {
      scratch: run('scratch'),
      continue: when(plugin.startFromBaseModel, 'continue'),
      resume: when(plugin.resume, 'resume'),
      resume_when: plugin.resumeWhen,
      resume_check: when(plugin.canResume, 'can-resume'),
    },
    convert: plugin.convert.map((step) => ({
      format: step.format,
      command: run('convert', step.format, '{model}'),
    })),
    detect: plugin.detect === FUNCTION_MARK ? detectCommand(run, format) : plugin.detect,
    cleanup: when(plugin.cleanUp, 'clean-up'),
  }
}

function detectCommand(run: (...args: readonly string[]) => readonly string[], format: string) {
  return { command: run('detect', '{model}', '{images}', '{output}'), format }
}
