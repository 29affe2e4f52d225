import { lstat, readlink, stat } from 'node:fs/promises'
import { hasCode } from '../../../base/index.js'

/** Why there is no file although its folder lists one: it is a link that leads nowhere, as a program makes it in the wrong folder. */
export async function deadLinkProblem(path: string): Promise<string | undefined> {
  try {
    if (!(await lstat(path)).isSymbolicLink() || (await leadsSomewhere(path))) return undefined
    return `it is a link to ${await readlink(path)}, which is not there`
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined // it is gone
    throw error
  }
}

async function leadsSomewhere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    return !hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')
  }
}
