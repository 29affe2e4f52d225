import { createHash } from 'node:crypto'
import { lstat, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { InvalidInputError } from '../../base/index.js'

// sockaddr_un holds 108 bytes with the closing NUL.
const MAX_SOCKET_PATH_BYTES = 107

/**
 * Where the embedded Redis of a folder listens: in the folder itself, or, when that path is too long for a socket, in
 * a private folder below the temporary one. The same folder always gives the same path, so that others find it.
 */
export function redisSocketPath(folder: string): string {
  const inFolder = join(resolve(folder), 'redis.sock')
  if (fits(inFolder)) return inFolder
  const name = `loopfleet-${process.getuid?.() ?? 0}-${createHash('sha256').update(inFolder).digest('hex').slice(0, 16)}`
  const candidates = [tmpdir(), '/tmp'].map((parent) => join(parent, name, 'redis.sock'))
  const short = candidates.find(fits)
  if (short !== undefined) return short
  throw new InvalidInputError(`No path short enough for the socket of Redis in ${folder}; use a shorter data folder.`)
}

/** Makes the socket's folder; refuses one that somebody else owns or can write to. */
export async function makePrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const facts = await lstat(folder)
  const isOurs = facts.isDirectory() && facts.uid === (process.getuid?.() ?? facts.uid)
  if (isOurs && (facts.mode & 0o077) === 0) return
  throw new InvalidInputError(
    `Folder ${folder} must be a folder of yours that nobody else can enter (chmod 700), since the socket of Redis lies there.`,
    { details: { folder } },
  )
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES
}
