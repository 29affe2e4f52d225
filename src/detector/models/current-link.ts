import { randomUUID } from 'node:crypto'
import { readdir, readlink, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { hasCode, syncFolder } from '../../base/index.js'

const LINK = 'current_model'
/** The link of the Python library 0.8, taken over once. */
const OLD_LINK = 'model'
const LEFT_OVER = /^\.current_model\..*\.tmp$/

/** Name of the folder below `models` that the data folder's link leads to; undefined when it leads nowhere else. */
export async function readCurrentLink(dataFolder: string, models: string): Promise<string | undefined> {
  return (await nameBehind(join(dataFolder, LINK), models)) ?? (await nameBehind(join(dataFolder, OLD_LINK), models))
}

/** Lets the link lead to another model's folder, in one step: at any moment it leads to the old one or the new one. */
export async function switchCurrentLink(dataFolder: string, folder: string): Promise<void> {
  const temporary = join(dataFolder, `.${LINK}.${randomUUID()}.tmp`)
  try {
    await symlink(relative(dataFolder, folder), temporary)
    await rename(temporary, join(dataFolder, LINK))
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dataFolder)
  await removeOldLink(dataFolder)
}

/** Removes what a switch left that was killed half-way. */
export async function sweepLinks(dataFolder: string): Promise<void> {
  const names = (await readdir(dataFolder)).filter((name) => LEFT_OVER.test(name))
  for (const name of names) await rm(join(dataFolder, name), { force: true })
}

async function nameBehind(link: string, models: string): Promise<string | undefined> {
  try {
    const target = resolve(dirname(link), await readlink(link))
    return dirname(target) === resolve(models) ? relative(models, target) : undefined
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EINVAL')) return undefined // missing, or no link
    throw error
  }
}

async function removeOldLink(dataFolder: string): Promise<void> {
  const path = join(dataFolder, OLD_LINK)
  const isLink = await readlink(path).then(
    () => true,
    () => false,
  )
  if (isLink) await rm(path, { force: true })
}
