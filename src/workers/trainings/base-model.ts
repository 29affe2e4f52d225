import { access, constants, copyFile, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, removeTree } from '../../base/index.js'
import type { ModelSet } from './model-sets.js'
import type { TrainingRun } from './training-run.js'

/** Puts the best model where `train.continue` expects the base model; that of the order is kept beside it. */
export async function layOutBestAsBase(set: ModelSet, { paths, definition, order }: TrainingRun): Promise<void> {
  const isOrdered = order.baseModel.kind === 'loop' && !(await isThere(paths.orderedBaseModel))
  if (isOrdered) await rename(paths.baseModel, paths.orderedBaseModel)
  await removeTree(paths.baseModel)
  await mkdir(paths.baseModel, { recursive: true })
  for (const name of set.files[definition.format] ?? []) {
    await copyFile(join(set.folder, name), join(paths.baseModel, name), constants.COPYFILE_FICLONE)
  }
}

/** Puts the base model of the order back, if a best model has taken its place. */
export async function layOutOrderedBase({ paths }: Pick<TrainingRun, 'paths'>): Promise<void> {
  if (!(await isThere(paths.orderedBaseModel))) return
  await removeTree(paths.baseModel)
  await rename(paths.orderedBaseModel, paths.baseModel)
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    (error: unknown) => {
      if (hasCode(error, 'ENOENT')) return false
      throw error
    },
  )
}
