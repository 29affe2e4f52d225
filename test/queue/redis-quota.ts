import { createConnection, createServer, type Socket } from 'node:net'

/** A server as hosters offer it, or a proxy: it refuses every command while `refuse` was called with a text. */
export type RedisQuota = {
  readonly url: string
  refuse(refusal: string | undefined): void
  close(): Promise<void>
}

const CRLF = '\r\n'

/** Passes commands on to a real Redis (by its port), or answers each of them with an error. */
export async function startRedisQuota(port: number): Promise<RedisQuota> {
  let refusal: string | undefined
  const open = new Set<Socket>()
  const server = createServer((near) => {
    const far = createConnection({ port, host: '127.0.0.1' })
    let unread = ''
    far.on('data', (answer) => near.write(answer))
    near.on('data', (data) => {
      unread += data.toString('latin1')
      for (let end = endOfCommand(unread); end !== undefined; end = endOfCommand(unread)) {
        if (refusal === undefined) far.write(unread.slice(0, end), 'latin1')
        else near.write(`-${refusal}${CRLF}`)
        unread = unread.slice(end)
      }
    })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one)
      one.on('error', () => undefined)
      one.on('close', () => {
        open.delete(one)
        other.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server has no port.')
  return {
    url: `redis://127.0.0.1:${address.port}`,
    refuse(text) {
      refusal = text
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

/** A command is `*N`, then N times `$LENGTH` and so many bytes. */
function endOfCommand(text: string): number | undefined {
  const head = /^\*(\d+)\r\n/.exec(text)
  let at = head?.[0].length ?? 0
  for (let left = Number(head?.[1] ?? Number.NaN); left > 0; left -= 1) {
    const length = /^\$(\d+)\r\n/.exec(text.slice(at))
    if (length === null) return undefined
    at += length[0].length + Number(length[1]) + CRLF.length
  }
  return head === null || at > text.length ? undefined : at
}
