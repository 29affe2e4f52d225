import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { hasCode } from '../../base/index.js'
import { BACKDOOR_FILE } from '../../executors/contract/index.js'
import { type ErrorConfiguration, errorConfigurationSchema } from '../../loop/protocol/index.js'

const lineSchema = z.object({
  provide_new_model: z.boolean().optional(),
  error_configuration: errorConfigurationSchema.optional(),
  /** So many syncs more, immediately. */
  steps: z.int().min(0).optional(),
})

/** The commands of tests to the mock trainer, over its node's backdoor. */
export type MockControls = {
  readonly providesNewModel: boolean
  readonly errors: ErrorConfiguration
  /** How many syncs there shall be in all. */
  readonly steps: number
}

/** Reads what the worker has written down of it, from its beginning; lines that are none of ours are passed over. */
export async function readMockControls(folder: string): Promise<MockControls> {
  let controls: MockControls = { providesNewModel: true, errors: errorConfigurationSchema.parse({}), steps: 0 }
  for (const line of (await readText(join(folder, BACKDOOR_FILE))).split('\n')) {
    const told = lineSchema.safeParse(parse(line)).data
    controls = {
      providesNewModel: told?.provide_new_model ?? controls.providesNewModel,
      errors: told?.error_configuration ?? controls.errors,
      steps: controls.steps + (told?.steps ?? 0),
    }
  }
  return controls
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return '' // nobody has used it
    throw error
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined // a half line
  }
}
