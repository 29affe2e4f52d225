import { join } from 'node:path'
import { z } from 'zod'
import { readJsonFile, writeJsonFile } from '../../base/index.js'
import { luaScript, type RedisLink } from '../redis/index.js'
import { PROTOCOL } from './protocol.js'
import { DataTooNewError } from './record-errors.js'
import { recordKeys } from './record-keys.js'

// Never lowered: what was written once in a newer form is still there.
const RAISE = luaScript(`
local least = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) > least then redis.call('SET', KEYS[1], ARGV[1]) end
return math.max(least, tonumber(ARGV[1]))`)

const FILE = 'least-reader.json'
const fileSchema = z.object({ protocol: z.int().min(1) })

/** Throws LF_DATA_TOO_NEW when builds of this protocol may not read this Redis any more. */
export async function checkRedisReader(link: Pick<RedisLink, 'client' | 'prefix' | 'url'>, reads = PROTOCOL) {
  const text = await link.client.get(recordKeys(link).leastReader)
  const least = z.coerce.number().parse(text ?? 0)
  if (least > reads) throw new DataTooNewError({ where: `Redis at ${link.url}`, least, reads })
}

/** From now on only builds with at least this protocol may read this Redis. */
export async function raiseRedisReader(link: Pick<RedisLink, 'client' | 'prefix'>, protocol: number): Promise<void> {
  await RAISE(link.client, [recordKeys(link).leastReader], [protocol])
}

/** Throws LF_DATA_TOO_NEW when builds of this protocol may not read this data folder any more. */
export async function checkFolderReader(folder: string, reads = PROTOCOL): Promise<void> {
  const least = await readFolder(folder)
  if (least > reads) throw new DataTooNewError({ where: folder, least, reads })
}

/**
 * The caller holds the lock of the folder.
 * @internal for the first build that changes the folder; until then only the test of mixed versions calls it.
 */
export async function raiseFolderReader(folder: string, protocol: number): Promise<void> {
  if (protocol > (await readFolder(folder))) await writeJsonFile(join(folder, FILE), { protocol })
}

async function readFolder(folder: string): Promise<number> {
  return (await readJsonFile(join(folder, FILE), fileSchema))?.protocol ?? 0
}
