import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { readJsonFile, writeJsonFile } from '../../base/index.js'

const hostFileSchema = z.object({ hostId: z.string().regex(/^[A-Za-z0-9-]{1,60}$/) })

/** The name of this host in the fleet: as given, or made once from the machine's name and kept in its data folder. */
export async function readHostId(folder: string, given: string | undefined): Promise<string> {
  if (given !== undefined) return given
  const path = join(folder, 'host.json')
  const kept = await readJsonFile(path, hostFileSchema)
  if (kept !== undefined) return kept.hostId
  const machine = hostname()
    .replaceAll(/[^A-Za-z0-9-]/g, '-')
    .slice(0, 40)
  const hostId = `${machine || 'host'}-${randomBytes(2).toString('hex')}`
  await writeJsonFile(path, { hostId })
  return hostId
}
