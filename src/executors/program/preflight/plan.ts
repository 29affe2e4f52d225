import type { CommandTemplate, TrainerDefinition } from '../../definition/index.js'
import type { GpuCount } from '../../gpu/index.js'

/** What is asked of a host before it takes work of a trainer or converter. */
export type PreflightPlan = {
  readonly kind: 'trainer' | 'converter'
  readonly name: string
  readonly gpus: GpuCount
  readonly definition: Pick<TrainerDefinition, 'name' | 'folder' | 'python' | 'env' | 'errors'>
  /** The command of the file; without one the programs of `commands` are looked at. */
  readonly own: CommandTemplate | undefined
  /** Those that all of its work needs. */
  readonly commands: readonly CommandTemplate[]
}

/** `train.continue` and `train.resume` are left out: a trainer may never need them. */
export function trainerPreflight(definition: TrainerDefinition): PreflightPlan {
  const { name, gpus, train, convert, detect, preflight } = definition
  const detecting = detect !== undefined && 'command' in detect ? [detect.command] : []
  const commands = [train.scratch, ...convert.map(({ command }) => command), ...detecting]
  return { kind: 'trainer', name, gpus, definition, own: preflight, commands }
}
