import { createConnection, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

export type RedisGate = {
  readonly url: string
  /** From now on whatever comes over a new connection is taken and never answered. */
  swallowNew(isSwallowing: boolean): void
  /** What is connected stays so, but nothing passes any more, and neither side hears of it. */
  silence(): void
  /** Cuts what is connected. */
  cut(): void
  close(): Promise<void>
}

/** A way to a real Redis (by its unix socket) on which connections can fall silent; `edit` changes its answers. */
export async function startRedisGate(
  redisUrl: string,
  edit: (answer: Buffer) => Buffer = (answer) => answer,
): Promise<RedisGate> {
  const pairs = new Map<Socket, Socket>()
  let isSwallowing = false
  const server = createServer((near) => {
    near.on('error', () => undefined)
    if (isSwallowing) {
      near.resume()
      pairs.set(near, near)
      return
    }
    const far = createConnection({ path: redisUrl.replace('unix://', '') })
    far.on('error', () => near.destroy())
    far.on('data', (answer) => near.write(edit(answer)))
    near.on('data', (question) => far.write(question))
    pairs.set(near, far)
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The gate has no port.')

  function cut(): void {
    for (const near of pairs.keys()) near.destroy()
    pairs.clear()
  }

  return {
    url: `redis://127.0.0.1:${address.port}`,
    swallowNew(isOn) {
      isSwallowing = isOn
    },
    silence() {
      for (const ends of pairs) for (const socket of ends) swallow(socket)
    },
    cut,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      cut()
      await closed
    },
  }
}

function swallow(socket: Duplex): void {
  socket.removeAllListeners('data')
  socket.resume()
}
