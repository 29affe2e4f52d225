import { createConnection, createServer, type Server, type Socket } from 'node:net'

export type Gate = {
  /** Host and port under which the server behind it is to be reached. */
  readonly host: string
  /** Cuts every connection and refuses new ones, as when the server or the way to it is gone. */
  shut(): Promise<void>
  open(): Promise<void>
  close(): Promise<void>
}

/** A way to a server that can be shut and opened again. */
export async function startGate(target: string): Promise<Gate> {
  const [host = '', port = ''] = target.split(':')
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    return socket
  }
  const pass = (near: Socket) => {
    const far = keep(createConnection({ host, port: Number(port) }))
    keep(near).pipe(far).pipe(near)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.once('error', () => other.destroy())
      one.once('close', () => other.destroy())
    }
  }
  let server = await listen(0, pass)
  const own = portOf(server)
  const shut = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return {
    host: `127.0.0.1:${own}`,
    shut,
    async open() {
      server = await listen(own, pass)
    },
    close: shut,
  }
}

async function listen(port: number, pass: (socket: Socket) => void): Promise<Server> {
  const server = createServer(pass)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return server
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The gate has no port.')
  return address.port
}
