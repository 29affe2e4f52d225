import { join } from 'node:path'
import { z } from 'zod'
import { readJsonFile, writeJsonFile } from '../../../base/index.js'
import { ASIDE } from '../whole-files/aside-folders.js'

const PASSED_OVER = join(ASIDE, 'passed-over.json')
const passedOverSchema = z.object({ said: z.array(z.string()) })
/** Such a script keeps every best model until its disk is full. */
const MAX_KEPT = 1000

/** What people were told of files that are not used, kept in the workspace: a program that is resumed finds the same files again. */
export type PassedOver = {
  /** Whether it is the first time that this is said of this state of a file. */
  isNew(state: string, problem: string): Promise<boolean>
}

export async function openPassedOver(workspace: string, { resume }: { readonly resume: boolean }): Promise<PassedOver> {
  const file = join(workspace, PASSED_OVER)
  const kept = resume ? await readJsonFile(file, passedOverSchema).catch(() => undefined) : undefined // lines are said again then
  const said = new Set(kept?.said)
  return {
    async isNew(state, problem) {
      const entry = `${state}: ${problem}`
      if (said.has(entry)) return false
      said.add(entry)
      await writeJsonFile(file, { said: [...said].slice(-MAX_KEPT) })
      return true
    },
  }
}
