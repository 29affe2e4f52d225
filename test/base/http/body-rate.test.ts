import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect } from 'chai'
import type { FastifyInstance } from 'fastify'
import { createHttpServer } from '../../../src/base/http/server.js'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createSocketServer } from '../../../src/base/sockets/socket-server.js'

describe('The least rate of a body', function () {
  this.timeout(20_000)
  const rate = { leastBytes: 1000, everyMs: 300 }
  let app: FastifyInstance
  let port: number
  const opened: Socket[] = []
  before(async () => {
    const http = createHttpServer({ maxBodyBytes: 10_000_000, bodyRate: rate }, { log: silentLogger() })
    app = http.app
    const sockets = createSocketServer({ path: '/ws/socket.io', maxMessageBytes: 1_000_000 }, http)
    app.addHook('preClose', async () => void sockets.engine.close())
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    app.post('/length', async ({ body }) => ({ length: Buffer.isBuffer(body) ? body.length : 0 }))
    await app.listen({ port: 0, host: '127.0.0.1' })
    const address = app.server.address()
    port = typeof address === 'object' ? Number(address?.port) : 0
  })
  after(async () => {
    for (const socket of opened) socket.destroy()
    await app.close()
  })

  /** Sends a head, then `bytes` every 50 ms, and answers what came when the server has answered or closed. */
  async function send(head: string, bytes: number, total: number): Promise<string> {
    const socket = connect(port, '127.0.0.1')
    opened.push(socket)
    socket.on('error', () => undefined)
    socket.write(`${head} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: a/b\r\nContent-Length: ${total}\r\n\r\n`)
    let sent = 0
    const timer = setInterval(() => {
      const count = Math.min(bytes, total - sent)
      sent += count
      if (count > 0 && socket.writable) socket.write('x'.repeat(count))
    }, 50)
    socket.once('close', () => clearInterval(timer))
    const [answer] = await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => ['closed'])])
    clearInterval(timer)
    return String(answer)
  }

  it('lets a large body take as long as it needs, far longer than the time in which the rate is measured', async () => {
    const startedAt = performance.now()

    const answer = await send('POST /length', 500, 20_000)

    expect(answer).to.match(/^HTTP\/1\.1 200 .*"length":20000/s)
    expect(performance.now() - startedAt).to.be.above(3 * rate.everyMs)
  })

  it('ends a body that comes more slowly, and names the rate', async () => {
    expect(await send('POST /length', 1, 20_000)).to.match(/^HTTP\/1\.1 408 .*bytes in 0\.3 s/s)
  })

  it('ends a body that stops in its middle', async () => {
    expect(await send('POST /length', 0, 20_000)).to.match(/^HTTP\/1\.1 408 /)
  })

  it('ends the slow body of a polling socket', async () => {
    const path = `http://127.0.0.1:${port}/ws/socket.io/?EIO=4&transport=polling`
    const { sid } = JSON.parse((await (await fetch(path)).text()).slice(1))

    expect(await send(`POST /ws/socket.io/?EIO=4&transport=polling&sid=${sid}`, 1, 20_000)).to.match(/408|closed/)
  })
})
