import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { until } from '../helpers/until.js'

/** A redis-server as an operator runs one: on a port, killed and started again as a test needs it. */
export type OwnRedis = {
  readonly port: number
  readonly url: string
  readonly folder: string
  /** A command of the operator; connects for it. */
  call(...command: string[]): Promise<unknown>
  kill(): Promise<void>
  signal(name: NodeJS.Signals): void
  /** On the same port; with another folder it has what is in that one. */
  start(folder?: string): Promise<void>
  close(): Promise<void>
}

export async function startOwnRedis(parent: string, ...settings: string[]): Promise<OwnRedis> {
  const port = await freePort()
  let folder = join(parent, `redis-${port}`)
  let child: ChildProcess | undefined

  async function call(...[name = '', ...args]: string[]): Promise<unknown> {
    // Without the check that it is ready, which a Redis that is busy refuses.
    const options = { lazyConnect: true, retryStrategy: () => null, enableReadyCheck: false }
    const client = new Redis(port, '127.0.0.1', options)
    client.on('error', () => undefined)
    try {
      await client.connect()
      return await client.call(name, ...args)
    } finally {
      client.disconnect()
    }
  }

  async function start(where = folder): Promise<void> {
    folder = where
    await mkdir(folder, { recursive: true })
    const own = ['--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'yes']
    // Otherwise Redis postpones writes by up to two seconds while the disk is slow, and a kill loses what it has acknowledged.
    own.push('--appendfsync', 'always')
    child = spawn('redis-server', [...own, '--bind', '127.0.0.1', ...settings], { stdio: 'ignore' })
    await until('redis-server answers', () =>
      call('PING').then(
        () => true,
        () => false,
      ),
    )
  }

  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  await start()
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get folder() {
      return folder
    },
    call,
    kill,
    signal: (name) => void child?.kill(name),
    start,
    close: kill,
  }
}

export type VirtualAddress = {
  readonly url: string
  /** New connections lead there from now on; living ones stay where they are. */
  move(port: number): void
  close(): Promise<void>
}

/** An address in front of two servers, as a load balancer, a moved name or a cloud's failover are one. */
export async function startVirtualAddress(first: number): Promise<VirtualAddress> {
  let target = first
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = createConnection(target, '127.0.0.1')
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  const port = await listen(server)
  return {
    url: `redis://127.0.0.1:${port}`,
    move(to) {
      target = to
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server has no port.')
  return address.port
}
