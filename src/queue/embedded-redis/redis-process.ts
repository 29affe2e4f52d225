import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { type Program, startProgram } from '../../process/index.js'
import { RedisFolderBusyError, RedisStartError } from '../redis-basics/index.js'

export type RedisProcess = { readonly program: Program; readonly pid: number }

export type LaunchOptions = {
  readonly folder: string
  readonly socket: string
  readonly conf: string
  readonly path: string
  readonly folderWaitMs: number
}

const FOLDER_BUSY = 75

/** Starts one redis-server and resolves when it answers (its append-only file is read by then). */
export async function launchRedis(
  options: LaunchOptions,
  deps: { readonly log: Logger; readonly signal?: AbortSignal | undefined },
): Promise<RedisProcess> {
  deps.signal?.throwIfAborted()
  const mark = `loopfleet-${randomUUID()}`
  const program = await startProgram(
    {
      command: redisCommand(options, mark),
      cwd: options.folder,
      env: { PATH: options.path },
      logFile: join(options.folder, 'redis.log'),
      owner: `redis:${process.pid}`,
    },
    deps,
  )
  const ended = new AbortController()
  const exit = program.exited.then((how) => {
    ended.abort()
    return how
  })
  const end = () => void program.end()
  deps.signal?.addEventListener('abort', end, { once: true })
  if (deps.signal?.aborted === true) end()
  try {
    const pid = await waitUntilItAnswers(options.socket, mark, ended.signal)
    if (pid !== undefined) return { program, pid }
  } catch (error) {
    await program.end()
    throw new RedisStartError({ folder: options.folder, lastLines: [messageOf(error)] })
  } finally {
    deps.signal?.removeEventListener('abort', end)
  }
  const { exitCode } = await exit
  deps.signal?.throwIfAborted()
  if (exitCode === FOLDER_BUSY) throw new RedisFolderBusyError(options.folder)
  throw new RedisStartError({ folder: options.folder, lastLines: program.lastLines() })
}

// Redis takes over a socket and an append-only file without asking whether another server uses them. The kernel's
// lock, held by the server itself, lets a second one wait until the first is gone, however it ends.
function redisCommand(options: LaunchOptions, mark: string): [string, ...string[]] {
  const wait = String(options.folderWaitMs / 1000)
  const lock = ['flock', '--no-fork', '--timeout', wait, '--conflict-exit-code', String(FOLDER_BUSY)] as const
  const server = ['redis-server', options.conf, '--dir', options.folder, '--unixsocket', options.socket]
  // Nothing goes to syslog: the mark only distinguishes this server from an earlier one that still answers on the socket.
  return [...lock, join(options.folder, 'redis.lock'), ...server, '--syslog-ident', mark]
}

async function waitUntilItAnswers(socket: string, mark: string, ended: AbortSignal): Promise<number | undefined> {
  for (let waitMs = 5; !ended.aborted; waitMs = Math.min(waitMs * 2, 100)) {
    const pid = await askForPid(socket, mark)
    if (pid !== undefined) return pid
    await sleep(waitMs, undefined, { signal: ended }).catch(() => undefined) // it ended: the loop sees it
  }
  return undefined
}

async function askForPid(socket: string, mark: string): Promise<number | undefined> {
  const client = new Redis({ path: socket, lazyConnect: true, retryStrategy: () => null, enableReadyCheck: false })
  let refusal: Error | undefined
  client.on('error', (error: Error) => {
    if (error.message.startsWith('NOAUTH')) refusal = error
  })
  try {
    await client.connect()
    const [, ident] = (await client.config('GET', 'syslog-ident')) as unknown[]
    if (ident !== mark) return undefined
    await client.ping() // refused with LOADING while the append-only file is read
    const pid = /^process_id:(\d+)/m.exec(await client.info('server'))?.[1]
    return pid === undefined ? undefined : Number(pid)
  } catch {
    if (refusal !== undefined) throw refusal
    return undefined // not there yet; asked again
  } finally {
    client.disconnect()
  }
}
