import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { type FastifyInstance, fastify } from 'fastify'
import { answerClientError } from '../../../src/base/http/client-errors.js'
import { type LingerLimits, lingerAfterRefusals, usualLinger } from '../../../src/base/http/lingering-close.js'
import { until } from '../../helpers/until.js'

const MB = 1024 * 1024
const NO_TIME_LIMIT = 600_000

describe('A client whose request is refused while it sends', function () {
  this.timeout(60_000)
  const servers: FastifyInstance[] = []
  const sockets: Socket[] = []
  const refusals: (() => void)[] = []
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    for (const server of servers.splice(0)) await server.close()
  })

  /** A server that takes bodies up to a megabyte and writes down what it was asked. */
  async function start(limits: Partial<LingerLimits> = {}) {
    const server = fastify({ bodyLimit: MB, clientErrorHandler: answerClientError, forceCloseConnections: 'idle' })
    servers.push(server)
    lingerAfterRefusals(server, { ...usualLinger, ...limits })
    const taken: string[] = []
    server.removeAllContentTypeParsers()
    server.addContentTypeParser('a/b', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    server.post('/bytes', async ({ url }) => taken.push(url))
    server.post('/refused-late', async () => taken.push('never'))
    server.addHook('onRequest', async ({ url }, reply) => {
      if (url !== '/refused-late') return
      await new Promise<void>((resolve) => refusals.push(resolve))
      return reply.code(403).send({})
    })
    server.get('/pipelined', async ({ url }) => taken.push(url))
    await server.listen({ port: 0, host: '127.0.0.1' })
    const address = server.server.address()
    return { server, taken, port: typeof address === 'object' ? Number(address?.port) : 0 }
  }

  /** A connection that reads nothing until it is told to. */
  function open(port: number) {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).pause()
    sockets.push(socket)
    let fault: string | undefined
    socket.on('error', (error) => {
      fault = 'code' in error ? String(error.code) : error.message
    })
    const write = (text: string | Buffer) => new Promise<void>((resolve) => socket.write(text, () => resolve())) // also when it broke
    async function read(): Promise<string> {
      let received = ''
      socket.setEncoding('latin1').on('data', (text: string) => {
        received += text
      })
      socket.resume()
      if (!socket.destroyed) await new Promise((resolve) => socket.once('end', resolve).once('close', resolve))
      return fault ?? received
    }
    return { socket, write, read }
  }

  const head = (more: string, { path = '/bytes', type = 'a/b' } = {}) =>
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${type}\r\n${more}\r\n\r\n`
  const told = (bytes: number) => head(`content-length: ${bytes}`)
  const CHUNKED = 'transfer-encoding: chunked'
  const chunk = (bytes: Buffer) => [Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]

  it('sees the answer every time, though it writes all before it reads', async () => {
    const { port } = await start()
    const body = Buffer.alloc(16 * MB)
    const whole = Buffer.concat([...chunk(body), Buffer.from('0\r\n\r\n')])
    const requests: readonly (readonly [string, Buffer, number])[] = [
      [told(body.length), body, 413],
      [head(CHUNKED), whole, 413],
      [head(`content-length: ${body.length}`, { type: 'b/a' }), body, 415],
      [head(CHUNKED, { path: '/nowhere' }), whole, 413],
      [`POST /bytes HTTP/1.1\r\n${'x-a: y\r\n'.repeat(9000)}\r\n`, body, 431],
      ['no HTTP at all\r\n\r\n', body, 400],
    ]

    for (const [start, rest, status] of requests) {
      const answers: string[] = []
      for (let count = 0; count < 15; count += 1) {
        const { write, read } = open(port)
        await write(start)
        await write(rest)
        answers.push(await read())
      }
      const isRight = (answer: string) =>
        answer.startsWith(`HTTP/1.1 ${status} `) && /^connection: close\r$/im.test(answer) && answer.endsWith('}')
      expect(answers.filter((answer) => !isRight(answer))).to.deep.equal([])
    }
  })

  it('is cut off when it never ends: after so many bytes', async () => {
    const { port } = await start({ maxBytes: 20 * MB, maxMs: NO_TIME_LIMIT, lookMs: NO_TIME_LIMIT })
    const { socket, write } = open(port)

    await write(told(100_000 * MB))
    while (!socket.destroyed) await write(Buffer.alloc(MB))

    // What lies between the two is in the buffers of the system.
    expect(socket.bytesWritten).to.be.within(20 * MB, 200 * MB)
  })

  it('is cut off when it never ends: after so long', async () => {
    const { port } = await start({ maxBytes: Number.MAX_SAFE_INTEGER, maxMs: 500, lookMs: 100, leastBytes: 0 })
    const { socket, write } = open(port)

    await write(told(100_000 * MB))
    while (!socket.destroyed) {
      await write(Buffer.alloc(1000))
      await turn()
    }
  })

  it('is cut off when it sends too slowly, or nothing more', async () => {
    const { port } = await start({ maxMs: NO_TIME_LIMIT, lookMs: 200 })
    const [slow, silent] = [open(port), open(port)]
    await Promise.all([slow.write(told(2 * MB)), silent.write(told(2 * MB))])
    const dribble = setInterval(() => slow.socket.writable && slow.socket.write('x'), 20)

    const answers = await Promise.all([slow.read(), silent.read()])
    for (const answer of answers) expect(answer).to.match(/^(HTTP\/1\.1 413 |ECONNRESET|EPIPE)/)
    await until('the slow one is cut off', () => slow.socket.destroyed || !slow.socket.writable)
    clearInterval(dribble)
  })

  it('is asked for nothing more on that connection', async () => {
    const { port, taken } = await start()
    const { write, read } = open(port)

    await write(told(2 * MB))
    await write(
      Buffer.concat([Buffer.alloc(2 * MB), Buffer.from('GET /pipelined HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n')]),
    )

    expect(await read()).to.match(/^HTTP\/1\.1 413 (?!.*HTTP\/1\.1)/s)
    expect(taken).to.deep.equal([])
  })

  it('need not send its body when it asks first', async () => {
    const { port, taken } = await start()
    const refused = open(port)
    await refused.write(head(`content-length: ${2 * MB}\r\nexpect: 100-continue`))
    expect(await refused.read()).to.match(/^HTTP\/1\.1 413 /)

    const wanted = open(port)
    await wanted.write(head('content-length: 3\r\nconnection: close\r\nexpect: 100-continue'))
    const answer = wanted.read()
    await once(wanted.socket, 'data')
    expect(taken).to.deep.equal([])
    await wanted.write('abc')

    expect(await answer).to.match(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
    expect(taken).to.deep.equal(['/bytes'])
  })

  it('keeps no server from its end', async () => {
    const { server, port } = await start({ maxMs: NO_TIME_LIMIT, lookMs: NO_TIME_LIMIT })
    const { write, socket } = open(port)
    await write(told(2 * MB))
    await once(socket.resume(), 'data')

    await server.close()
  })

  it('keeps no server from its end when it is refused while the server closes', async () => {
    const { server, port } = await start({ maxMs: NO_TIME_LIMIT, lookMs: NO_TIME_LIMIT })
    const { write, read } = open(port)
    await write(head(`content-length: ${2 * MB - 1}`, { path: '/refused-late' }))
    await until('it is being asked', () => refusals.length === 1)

    const closed = server.close()
    await until('it listens no more', () => !server.server.listening)
    for (const refuse of refusals.splice(0)) refuse()

    await closed
    expect(await read()).to.match(/^(HTTP\/1\.1 403 |ECONNRESET|EPIPE)/)
  })

  it('leaves the connection to those that were refused after all of it had come', async () => {
    const { port } = await start()
    const { write, socket } = open(port)
    const early = [
      'GET /nowhere HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n',
      `${head('content-length: 3', { path: '/nowhere' })}abc`,
    ]

    for (const text of [...early, ...early]) {
      await write(text)
      const [answer] = await once(socket.resume(), 'data')
      expect(String(answer))
        .to.match(/^HTTP\/1\.1 404 /)
        .and.not.to.match(/^connection: close/im)
    }
  })
})
