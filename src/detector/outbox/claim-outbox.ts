import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { hasCode, readJsonFile, safePathSegment, writeJsonFile } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'

/** To whose project at the Loop the images go. */
const ownerSchema = z.strictObject({ organization: z.string(), project: z.string() })
export type OutboxOwner = z.infer<typeof ownerSchema>

const FOLDER = 'outbox'
const OWNER_FILE = 'project.json'

/**
 * Returns the outbox of this project below the data folder. Images that wait for another project must not go to this
 * one: their outbox is put beside it under a name of its own, and comes back with its project.
 */
export async function claimOutbox(
  dataFolder: string,
  owner: OutboxOwner,
  { log }: { readonly log: Logger },
): Promise<string> {
  const folder = join(dataFolder, FOLDER)
  const found = await ownerOf(folder, log)
  if (found !== undefined) {
    if (found !== 'unknown' && nameFor(found) === nameFor(owner)) return folder
    const aside = await freeName(dataFolder, found === 'unknown' ? `${FOLDER}.unknown` : nameFor(found))
    await rename(folder, join(dataFolder, aside))
    log.warn({ owner: found, folder: aside }, 'the images that wait here are of another project and are put aside')
  }
  if (!(await readdir(dataFolder)).includes(FOLDER)) {
    await rename(join(dataFolder, nameFor(owner)), folder).catch((error: unknown) => {
      if (!hasCode(error, 'ENOENT')) throw error
    })
  }
  await noteOwner(folder, owner, log)
  return folder
}

/** Undefined for an outbox that nobody has claimed, such as the Python library's. */
async function ownerOf(folder: string, log: Logger): Promise<OutboxOwner | 'unknown' | undefined> {
  try {
    return await readJsonFile(join(folder, OWNER_FILE), ownerSchema)
  } catch (err) {
    log.warn({ err }, 'the project of the outbox is lost')
    return 'unknown'
  }
}

// A full disk must not keep a detector from its start.
async function noteOwner(folder: string, owner: OutboxOwner, log: Logger): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
    await writeJsonFile(join(folder, OWNER_FILE), owner)
  } catch (err) {
    log.warn({ err }, 'the project of the outbox cannot be noted')
  }
}

/** No two projects have the same: a plus sign is encoded where it is part of a name. */
function nameFor({ organization, project }: OutboxOwner): string {
  const [one, other] = [organization, project].map((name) => encodeURIComponent(name.toLowerCase()))
  return safePathSegment(`${FOLDER}.${one}+${other}`)
}

async function freeName(dataFolder: string, name: string): Promise<string> {
  const taken = new Set(await readdir(dataFolder))
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? name : `${name}.${number}`
    if (!taken.has(candidate)) return candidate
  }
}
