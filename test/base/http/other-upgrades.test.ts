import { once } from 'node:events'
import { connect } from 'node:net'
import { expect } from 'chai'
import { execa } from 'execa'
import type { FastifyInstance } from 'fastify'
import type { Server } from 'socket.io'
import { io } from 'socket.io-client'
import { createHttpServer } from '../../../src/base/http/server.js'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createSocketServer } from '../../../src/base/sockets/socket-server.js'

const OFFER =
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA\r\n'

for (const hasSocket of [true, false]) {
  describe(`A server ${hasSocket ? 'with' : 'without'} a socket, asked to upgrade to something else`, () => {
    let app: FastifyInstance
    let sockets: Server | undefined
    let port: number
    before(async () => {
      const http = createHttpServer({ maxBodyBytes: 1024 * 1024 }, { log: silentLogger() })
      app = http.app
      if (hasSocket) {
        sockets = createSocketServer({ path: '/ws/socket.io', maxMessageBytes: 1000 }, http)
        sockets.on('connection', (socket) => socket.on('ask', (answer) => answer('told')))
      }
      app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
      app.get('/about', async () => ({ about: 'it' }))
      app.post('/length', async ({ body }) => ({ length: Buffer.isBuffer(body) ? body.length : 0 }))
      await app.listen({ port: 0, host: '127.0.0.1' })
      const address = app.server.address()
      port = typeof address === 'object' ? Number(address?.port) : 0
    })
    after(async () => {
      sockets?.disconnectSockets(true)
      sockets?.engine.close()
      await app.close()
    })

    /** Sends the pieces one after the other and answers all that comes until the server ends the connection. */
    async function ask(...pieces: readonly string[]): Promise<string> {
      const socket = connect(port, '127.0.0.1')
      const closed = once(socket, 'close')
      let received = ''
      socket.setEncoding('latin1').on('data', (text: string) => {
        received += text
      })
      for (const piece of pieces) {
        socket.write(piece)
        await new Promise((resolve) => setTimeout(resolve, 20)) // a packet of its own
      }
      await closed
      return received
    }
    const head = (line: string, more: string) => `${line} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}`
    const LAST = 'Connection: close\r\n\r\n'
    const bodies = (answer: string) => [...answer.matchAll(/\{.*?\}/g)].map(([text]) => JSON.parse(text))

    it('answers as if it had not been asked', async () => {
      const answer = await ask(head('GET /about', `${OFFER}\r\n`), head('GET /about', LAST))

      expect(answer.match(/HTTP\/1\.1 200 /g)).to.have.lengthOf(2)
      expect(bodies(answer)).to.deep.equal([{ about: 'it' }, { about: 'it' }])
    })

    it('answers what comes behind such a request in the same packet', async () => {
      const answer = await ask(`${head('GET /about', `${OFFER}\r\n`)}${head('GET /about', LAST)}`)

      expect(bodies(answer)).to.deep.equal([{ about: 'it' }, { about: 'it' }])
    })

    it('reads a body in the same packet, in later ones, and in chunks', async () => {
      const post = (more: string) => head('POST /length', `Content-Type: a/b\r\n${OFFER}${more}\r\n\r\n`)
      const answer = await ask(
        `${post('Content-Length: 5')}12345`,
        post('Content-Length: 70000'),
        'x'.repeat(30_000),
        'x'.repeat(40_000),
        `${post('Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n`,
        head('GET /about', LAST),
      )

      expect(bodies(answer)).to.deep.equal([{ length: 5 }, { length: 70_000 }, { length: 3 }, { about: 'it' }])
    })

    it('answers a client that asks for a WebSocket elsewhere', async () => {
      const offer =
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AA==\r\n\r\n'
      const answer = await ask(head('GET /nowhere', offer), head('GET /about', LAST))

      expect(answer.match(/HTTP\/1\.1 \d+/g)).to.deep.equal(['HTTP/1.1 404', 'HTTP/1.1 200'])
    })

    it('answers curl that offers HTTP/2, also with a body', async () => {
      const url = `http://127.0.0.1:${port}`
      const curl = ['--silent', '--show-error', '--max-time', '5', '--http2']

      const read = await execa('curl', [...curl, `${url}/about`])
      const body = ['-H', 'Content-Type: a/b', '--data-binary', '@-', `${url}/length`]
      const sent = await execa('curl', [...curl, ...body], { input: 'x'.repeat(500_000) })

      expect(JSON.parse(read.stdout)).to.deep.equal({ about: 'it' })
      expect(JSON.parse(sent.stdout)).to.deep.equal({ length: 500_000 })
    })

    if (!hasSocket) return

    it('still upgrades to its own WebSocket', async () => {
      const client = io(`http://127.0.0.1:${port}`, { path: '/ws/socket.io', transports: ['websocket'] })

      expect(await client.timeout(5000).emitWithAck('ask')).to.equal('told')
      client.disconnect()
    })

    it('answers a polling client that offers HTTP/2', async () => {
      const { stdout } = await execa('curl', [
        ...['--silent', '--http2', '--max-time', '5'],
        `http://127.0.0.1:${port}/ws/socket.io/?EIO=4&transport=polling`,
      ])

      expect(stdout).to.contain('"sid"')
    })
  })
}
