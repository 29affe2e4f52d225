import { request } from 'node:http'
import { expect } from 'chai'
import type { FastifyInstance } from 'fastify'
import { createHttpServer, type HttpServerOptions } from '../../../src/base/http/server.js'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createSocketServer } from '../../../src/base/sockets/socket-server.js'

describe('Requests of web pages', () => {
  const apps: FastifyInstance[] = []
  afterEach(async () => {
    for (const app of apps.splice(0)) await app.close()
  })

  async function start(options: Partial<HttpServerOptions> = {}, host = '127.0.0.1') {
    const http = createHttpServer({ maxBodyBytes: 1000, ...options }, { log: silentLogger() })
    const { app } = http
    apps.push(app)
    const sockets = createSocketServer({ path: '/ws/socket.io', maxMessageBytes: 1000 }, http)
    app.addHook('preClose', async () => void sockets.engine.close())
    app.route({ method: ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'], url: '/it', handler: async () => ({ done: true }) })
    await app.listen({ port: 0, host })
    const address = app.server.address()
    const port = typeof address === 'object' ? Number(address?.port) : 0
    const ask = (method: string, headers: Record<string, string>, path = '/it') =>
      new Promise<{ status: number; body: string }>((resolve, reject) => {
        const asked = request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
          let body = ''
          response.on('data', (chunk) => {
            body += chunk
          })
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
        })
        asked.on('error', reject).end()
      })
    return { port, ask }
  }

  it('of other origins change nothing, whichever way the browser says so', async () => {
    const { port, ask } = await start()
    const foreign: Record<string, string>[] = [
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { origin: `http://127.0.0.1:${port + 1}` },
      { origin: `https://evil.example:${port}` },
      { 'sec-fetch-site': 'cross-site' },
      { origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'cross-site' },
    ]

    for (const headers of foreign) {
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
        expect((await ask(method, headers)).status, `${method} ${JSON.stringify(headers)}`).to.equal(403)
      }
      expect((await ask('GET', headers)).status, 'reading is free').to.equal(200)
    }
  })

  it('of its own origin, and programs, which name none, are served', async () => {
    const { port, ask } = await start()
    const own: Record<string, string>[] = [
      {},
      { origin: `http://127.0.0.1:${port}` },
      { origin: `http://localhost:${port}`, host: `localhost:${port}` },
      { origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
    ]

    for (const headers of own) expect((await ask('POST', headers)).status, JSON.stringify(headers)).to.equal(200)
  })

  it('are served through a proxy that names the host in their address', async () => {
    const { ask } = await start({ allowedHosts: ['robot.example'] })
    const headers = { host: 'robot.example', origin: 'https://robot.example' }
    const forwarded = { 'x-forwarded-host': 'robot.example', origin: 'https://robot.example' }

    const capitals = { 'x-forwarded-host': 'Robot.Example', origin: 'https://robot.example' }

    for (const each of [headers, forwarded, capitals]) expect((await ask('POST', each)).status).to.equal(200)
  })

  it('are served through a proxy that writes the usual port, stands behind another one, or names nothing', async () => {
    const { ask } = await start({ allowedHosts: ['robot.example'] })
    const secure = { origin: 'https://robot.example' }

    const own: Record<string, string>[] = [
      { ...secure, 'x-forwarded-host': 'robot.example:443' },
      { ...secure, host: 'robot.example:443' },
      { origin: 'http://robot.example', 'x-forwarded-host': 'robot.example:80' },
      { ...secure, 'x-forwarded-host': 'robot.example, inner.example:8080' },
      { ...secure, host: 'robot.example.' },
      secure,
      { origin: 'https://robot.example:8443' },
      { origin: 'https://other.example', 'x-forwarded-host': 'other.example:443' },
    ]

    for (const each of own) expect((await ask('POST', each)).status, JSON.stringify(each)).to.equal(200)
  })

  it('of another name or port than the proxy names are refused, with what to list', async () => {
    const { ask } = await start({ allowedHosts: ['robot.example'] })

    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example', 'x-forwarded-host': 'robot.example:443' },
      { origin: 'https://evil.example', host: 'robot.example' },
      { origin: 'http://other.example', 'x-forwarded-host': 'other.example:443' },
      { origin: 'https://robot.example.evil.example' },
    ]

    for (const each of foreign) {
      const { status, body } = await ask('POST', each)
      expect(status, JSON.stringify(each)).to.equal(403)
      expect(body).to.contain('list it in LOOPFLEET_ALLOWED_HOSTS')
    }
  })

  it('to a foreign name that leads here are refused, also when they only read', async () => {
    const { port, ask } = await start()

    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '10.0.0.1',
    ]) {
      const { status, body } = await ask('GET', { host })
      expect(status, host).to.equal(403)
      expect(body).to.contain(host).and.contain('LOOPFLEET_ALLOWED_HOSTS')
    }
    for (const host of ['localhost', 'LOCALHOST', `[::1]:${port}`, '127.0.0.1', '127.8.9.10', 'app.localhost']) {
      expect((await ask('GET', { host })).status, host).to.equal(200)
    }
  })

  it('to any name are served where other machines may come, or a token is asked for', async () => {
    const everywhere = await start({}, '0.0.0.0')
    const withToken = await start({ checksHost: false })

    expect((await everywhere.ask('GET', { host: 'robot.example' })).status).to.equal(200)
    expect((await withToken.ask('GET', { host: 'robot.example' })).status).to.equal(200)
  })

  it('open no socket from other origins or to foreign names', async () => {
    const { ask } = await start()
    const polling = '/ws/socket.io/?EIO=4&transport=polling'
    const socket = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    }

    expect((await ask('GET', {}, polling)).status).to.equal(200)
    const foreign: Record<string, string>[] = [{ origin: 'http://evil.example' }, { host: 'evil.example' }]
    for (const headers of foreign) {
      expect((await ask('GET', headers, polling)).status).to.equal(403)
      const path = '/ws/socket.io/?EIO=4&transport=websocket'
      expect((await ask('GET', { ...socket, ...headers }, path)).status).to.be.oneOf([400, 403])
    }
  })
})
