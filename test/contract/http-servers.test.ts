import { request } from 'node:http'
import { expect } from 'chai'
import { execa } from 'execa'
import type { FastifyInstance } from 'fastify'
import { silentLogger } from '../../src/base/logger.js'
import { createConverterHttp } from '../../src/nodes/converter/converter-http.js'
import { createNodeHttp } from '../../src/nodes/node-http.js'
import { startDashboardFixture } from '../dashboard/dashboard-fixture.js'
import { startDetectorFixture } from '../detector/detector-fixture.js'
import { startLoop } from '../mock/loop/start-loop.js'

type Served = { readonly url: string; close(): Promise<unknown> }
const log = silentLogger()
const switches = { setOnline: async () => undefined, setDebugLogging: () => undefined }
const converter = {
  setOnline: async () => undefined,
  setChecking: () => undefined,
  step: async () => ({ projects: 0, models: 0, planned: [], unfinished: [], failed: 0, skipped: [] }),
  isBusy: async () => false,
}

async function listen(app: FastifyInstance): Promise<Served> {
  return { url: await app.listen({ port: 0, host: '127.0.0.1' }), close: () => app.close() }
}

/** Every server that this project starts, with something to read and something that changes it. */
const servers: readonly { name: string; start: () => Promise<Served>; read: string; change: [string, string] }[] = [
  { name: 'detector', start: () => startDetectorFixture(), read: '/about', change: ['PUT', '/operation_mode'] },
  { name: 'dashboard', start: startDashboardFixture, read: '/api/fleet', change: ['POST', '/api/hosts/a/drain'] },
  {
    name: 'local Loop',
    start: () => startLoop(),
    read: '/api/status',
    change: ['POST', '/api/demo/projects/generator'],
  },
  {
    name: 'trainer node',
    start: () => listen(createNodeHttp(switches, { log })),
    read: '/',
    change: ['PUT', '/socketio'],
  },
  {
    name: 'converter',
    start: () => listen(createConverterHttp({ backdoor: false }, { node: converter, ...switches, log })),
    read: '/',
    change: ['PUT', '/socketio'],
  },
]

for (const { name, start, read, change } of servers) {
  describe(`The server of the ${name}`, () => {
    let served: Served
    before(async () => {
      served = await start()
    })
    after(() => served.close())

    function ask(method: string, path: string, headers: Record<string, string>, body = ''): Promise<number> {
      return new Promise((resolve, reject) => {
        const sent = { 'content-type': 'text/plain', 'content-length': String(body.length), ...headers }
        const asked = request(`${served.url}${path}`, { method, headers: sent }, (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0))
        })
        asked.on('error', reject).end(body)
      })
    }

    it('answers a client that offers HTTP/2, with and without a body, as any other', async () => {
      const curl = ['--silent', '--http2', '--max-time', '5', '--output', '/dev/null', '--write-out', '%{http_code}']
      const plain = await ask('GET', read, {})
      const [method, path] = change

      const got = await execa('curl', [...curl, `${served.url}${read}`])
      const sent = await execa('curl', [...curl, '-X', method, '--data', 'x'.repeat(900), `${served.url}${path}`])

      expect(Number(got.stdout)).to.equal(plain)
      expect(Number(sent.stdout)).to.be.within(200, 499)
    })

    it('lets pages of other origins change nothing, and answers to no foreign name', async () => {
      const [method, path] = change

      expect(await ask(method, path, { origin: 'http://evil.example' }, 'on')).to.equal(403)
      expect(await ask(method, path, { 'sec-fetch-site': 'cross-site' }, 'on')).to.equal(403)
      expect(await ask('GET', read, { host: 'evil.example' })).to.equal(403)
      expect(await ask(method, path, {}, 'on'), 'a program').not.to.equal(403)
    })
  })
}
