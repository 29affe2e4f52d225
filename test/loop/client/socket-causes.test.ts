import { readFileSync } from 'node:fs'
import { createServer as createHttp, type RequestListener } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { createServer as createTcp, type Server, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { messageOf } from '../../../src/base/errors.js'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createLoopSession } from '../../../src/loop/client/session/session.js'
import { connect } from '../../../src/loop/client/socket/socket-connection.js'

const certificate = (name: string) => fileURLToPath(new URL(`../../fixtures/certificates/${name}.pem`, import.meta.url))
const read = (name: string) => readFileSync(certificate(name), 'utf8')
const page = (status: number, words: string): RequestListener => {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'text/html' })
    response.end(`<html><head><title>${words}</title></head><body><h1>${words}</h1><hr>nginx/1.24.0</body></html>`)
  }
}

describe('a socket to the Loop that cannot be opened', function () {
  this.timeout(20_000)
  const servers: Server[] = []
  const sockets = new Set<Socket>()

  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
  })

  async function listen(server: Server): Promise<number> {
    server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined).once('close', () => sockets.delete(socket))
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, resolve))
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  const overTls = (name: string) =>
    listen(createHttps({ cert: read(name), key: read(`${name}.key`) }, page(404, '404 Not Found')))

  async function causeAt(url: string, ca?: string): Promise<string> {
    const signal = new AbortController().signal
    const options = { url, path: '/ws/socket.io/', ca, headers: {}, connectTimeoutMs: 1500, signal }
    try {
      const connection = await connect(options, { onEvent: () => undefined })
      connection.close()
      return 'it was opened'
    } catch (error) {
      return messageOf(error)
    }
  }

  async function causeOfRest(host: string, sslCertPath?: string): Promise<string> {
    const session = createLoopSession({ host, sslCertPath, timeoutMs: 1000 }, { log: silentLogger() })
    try {
      await session.request({ method: 'GET', path: '/status', login: false })
      return 'it was answered'
    } catch (error) {
      return messageOf(error)
    } finally {
      session.close()
    }
  }

  it('names a host that DNS does not know', async () => {
    const cause = /(DNS does not know the host name "no-such-host\.invalid"|no name server answered).*check LOOP_HOST/

    expect(await causeAt('ws://no-such-host.invalid')).to.match(cause)
    expect(await causeOfRest('no-such-host.invalid')).to.match(cause)
  })

  it('names a port on which nothing listens', async () => {
    const cause =
      'nothing listens on 127.0.0.1 port 9; check the port in LOOP_HOST and that the Loop runs (ECONNREFUSED)'

    expect(await causeAt('ws://127.0.0.1:9')).to.include(cause)
    expect(await causeOfRest('127.0.0.1:9')).to.include(cause)
    expect(await causeOfRest('localhost:9')).to.include('nothing listens on localhost port 9')
    expect(await causeAt('ws://[::1]:9')).to.match(/(nothing listens on|there is no route to) ::1 port 9/)
  })

  it('says that a certificate is self-signed, and what to set', async () => {
    const port = await overTls('localhost')
    const cause = `the certificate of localhost port ${port} is not signed by an authority that this host knows; set LOOP_SSL_CERT_PATH`

    expect(await causeAt(`wss://localhost:${port}`)).to.include(cause)
    expect(await causeOfRest(`https://localhost:${port}`)).to.include(cause)
  })

  it('says that a certificate has expired', async () => {
    const port = await overTls('expired')
    const cause = `the certificate of localhost port ${port} has expired; renew it, and check the clock of this host`

    expect(await causeAt(`wss://localhost:${port}`, read('expired'))).to.include(cause)
    expect(await causeOfRest(`https://localhost:${port}`, certificate('expired'))).to.include(cause)
  })

  it('says for which host a certificate is', async () => {
    const port = await overTls('other.lab')
    const cause = `the certificate of localhost port ${port} is for DNS:other.lab; set LOOP_HOST to a name of the certificate`

    expect(await causeAt(`wss://localhost:${port}`, read('other.lab'))).to.include(cause)
    expect(await causeOfRest(`https://localhost:${port}`, certificate('other.lab'))).to.include(cause)
  })

  it('says that a port speaks no TLS', async () => {
    const port = await listen(createHttp(page(200, 'Welcome')))
    const cause = `localhost port ${port} speaks no TLS; set LOOP_HOST to http://localhost:${port}`

    expect(await causeAt(`wss://localhost:${port}`)).to.include(cause)
    expect(await causeOfRest(`https://localhost:${port}`)).to.include(cause)
  })

  it('says that a port speaks TLS', async () => {
    const port = await overTls('localhost')

    expect(await causeAt(`ws://localhost:${port}`)).to.include(`set LOOP_HOST to https://localhost:${port}`)
  })

  it('says so, too, where a server answers plain HTTP with a page about it', async () => {
    const port = await listen(createHttp(page(400, '400 The plain HTTP request was sent to HTTPS port')))

    expect(await causeAt(`ws://127.0.0.1:${port}`)).to.include(`set LOOP_HOST to https://127.0.0.1:${port}`)
  })

  for (const [status, words, wayOut] of [
    [404, '404 Not Found', 'which is no answer of a Loop; check LOOP_HOST'],
    [200, 'Welcome to nginx!', 'which is no answer of a Loop; check LOOP_HOST'],
    [502, '502 Bad Gateway', 'the Loop, or what is behind the proxy there, does not work'],
    [401, '401 Authorization Required', 'set LOOP_USERNAME and LOOP_PASSWORD'],
    [301, '301 Moved Permanently', 'leads to another address; set LOOP_HOST to that'],
  ] as const) {
    it(`quotes a page that says "${words}"`, async () => {
      const port = await listen(createHttp(page(status, words)))

      const cause = await causeAt(`ws://127.0.0.1:${port}`)

      expect(cause).to.include(`127.0.0.1 port ${port} answered ${status} (${words}`).and.to.include(wayOut)
    })
  }

  it('says that a server accepts connections and does not answer', async () => {
    const port = await listen(createTcp())

    const cause = `127.0.0.1 port ${port} accepts connections but did not answer for 1.5 s; check LOOP_HOST and the Loop`
    expect(await causeAt(`ws://127.0.0.1:${port}`)).to.include(cause)
  })

  it('says that a server speaks something else', async () => {
    const port = await listen(createTcp((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')))

    const cause = `127.0.0.1 port ${port} does not speak HTTP, so it is no Loop`
    expect(await causeAt(`ws://127.0.0.1:${port}`)).to.include(cause)
    expect(await causeOfRest(`127.0.0.1:${port}`)).to.include(cause)
  })
})
