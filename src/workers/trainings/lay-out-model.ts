import { constants } from 'node:fs'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { linkOrCopy, removeTree } from '../../base/index.js'
import type { ModelSet } from './model-sets.js'
import type { TrainingRun } from './training-run.js'

/** Lays the files of a set out in `model/`, where convert adds to them and upload takes them from. */
export async function layOut(set: ModelSet, { paths, definition }: Pick<TrainingRun, 'paths' | 'definition'>) {
  await removeTree(paths.model)
  await mkdir(paths.model, { recursive: true })
  for (const name of new Set(Object.values(set.files).flat())) {
    const [from, to] = [join(set.folder, name), join(paths.model, name)]
    // A conversion may work on the file in place, and the set is what its next attempt begins with.
    if (definition.convert.length > 0) await copyFile(from, to, constants.COPYFILE_FICLONE)
    else await linkOrCopy(from, to)
  }
}
