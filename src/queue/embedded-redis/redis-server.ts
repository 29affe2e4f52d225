import { existsSync } from 'node:fs'
import { mkdir, rmdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { backOffMs, type Closers, InvalidInputError, openResource } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { findProgram, ProgramNotFoundError } from '../../process/index.js'
import { RedisMissingError } from '../redis-basics/index.js'
import { launchRedis, type RedisProcess } from './redis-process.js'
import { makePrivateFolder, redisSocketPath } from './redis-socket.js'

export type RedisServerOptions = {
  /** Holds the append-only file, the log and, if its path is short enough, the socket. */
  readonly folder: string
  /** The repository's redis.conf by default. */
  readonly conf?: string
  /** PATH on which redis-server and flock are found; the usual folders by default. */
  readonly path?: string
  /** How long to wait for the folder while a predecessor is still ending. */
  readonly folderWaitMs?: number
}

export type RedisServerDeps = {
  readonly log: Logger
  /** Ends the start. */
  readonly signal?: AbortSignal
}

export type EmbeddedRedis = {
  /** `unix:///…/redis.sock`, the same for the same folder. */
  readonly url: string
  readonly pid: number
  /** Resolves when the server has ended; its data stay. */
  close(): Promise<void>
}

const USUAL_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin'

/**
 * Starts the machine's redis-server on a private unix socket. It ends with us, also when we are killed, and is started
 * again when it dies. Throws LF_REDIS_MISSING, LF_REDIS_FOLDER_BUSY or LF_REDIS_START.
 */
export function startRedisServer(options: RedisServerOptions, deps: RedisServerDeps): Promise<EmbeddedRedis> {
  const log = deps.log.child({ component: 'redis-server' })
  return openResource(log, (closers) => open(options, { ...deps, log }, closers))
}

async function open(options: RedisServerOptions, { log, signal }: RedisServerDeps, closers: Closers) {
  const folder = resolve(options.folder)
  const socket = redisSocketPath(folder)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (dirname(socket) !== folder) {
    await makePrivateFolder(dirname(socket))
    // It stays when a successor listens there already.
    closers.add('folder of the socket', () => rmdir(dirname(socket)).catch(() => undefined))
  }
  const path = options.path ?? USUAL_PATH
  await checkProgram(folder, path)

  const conf = options.conf ?? findConf()
  const folderWaitMs = options.folderWaitMs ?? 10_000
  const launch = (until: AbortSignal | undefined) =>
    launchRedis({ folder, socket, conf, path, folderWaitMs }, { log, signal: until })
  let server = await launch(signal)
  const closing = new AbortController()
  const supervision = supervise()
  closers.add('redis-server', async () => {
    closing.abort()
    await server.program.end()
    await supervision
    await server.program.end()
  })
  log.info({ pid: server.pid, socket }, 'redis-server started')

  async function supervise(): Promise<void> {
    for (;;) {
      const exit = await server.program.exited
      if (closing.signal.aborted) return
      log.error({ exit, lastLines: server.program.lastLines().slice(-5) }, 'redis-server died; starting it again')
      const successor = await relaunch(launch, { signal: closing.signal, log })
      if (successor === undefined) return
      server = successor
      log.info({ pid: server.pid }, 'redis-server restarted')
    }
  }

  return {
    url: `unix://${socket}`,
    get pid() {
      return server.pid
    },
  }
}

async function relaunch(
  launch: (signal: AbortSignal) => Promise<RedisProcess>,
  options: { readonly signal: AbortSignal; readonly log: Logger },
): Promise<RedisProcess | undefined> {
  for (let attempt = 1; !options.signal.aborted; attempt++) {
    try {
      return await launch(options.signal)
    } catch (error) {
      if (!options.signal.aborted) options.log.error({ err: error }, 'redis-server not restarted')
      await sleep(backOffMs(attempt, { firstMs: 200, maxMs: 5_000 }), undefined, { signal: options.signal }).catch(
        () => undefined, // closing: the loop ends
      )
    }
  }
  return undefined
}

async function checkProgram(folder: string, path: string): Promise<void> {
  try {
    await findProgram('redis-server', { cwd: folder, path })
  } catch (error) {
    throw error instanceof ProgramNotFoundError ? new RedisMissingError(error) : error
  }
}

// The file lies at the package's root, which is nearer to the sources than to the compiled files.
function findConf(): string {
  const start = dirname(fileURLToPath(import.meta.url))
  for (let folder = start; ; folder = dirname(folder)) {
    const conf = join(folder, 'redis.conf')
    if (existsSync(conf)) return conf
    if (folder === dirname(folder)) throw new InvalidInputError(`redis.conf is in no folder above ${start}.`)
  }
}
