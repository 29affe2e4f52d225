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

type Server = {
  readonly name: string
  readonly start: (options?: { readonly ending?: AbortSignal }) => Promise<Served>
  /** Something to read, and something that changes the part. */
  readonly read: string
  readonly change: readonly [string, string]
}

/** Every server that this project starts. */
const servers: readonly Server[] = [
  { name: 'detector', start: startDetectorFixture, read: '/about', change: ['PUT', '/operation_mode'] },
  { name: 'dashboard', start: startDashboardFixture, read: '/api/fleet', change: ['POST', '/api/hosts/a/drain'] },
  { name: 'local Loop', start: startLoop, read: '/api/status', change: ['POST', '/api/demo/projects/generator'] },
  {
    name: 'trainer node',
    start: (options) => listen(createNodeHttp(switches, { ...options, log })),
    read: '/',
    change: ['PUT', '/socketio'],
  },
  {
    name: 'converter',
    start: (options) =>
      listen(createConverterHttp({ ...options, backdoor: false }, { node: converter, ...switches, log })),
    read: '/',
    change: ['PUT', '/socketio'],
  },
]

for (const { name, start, read, change } of servers) {
  describe(`The server of the ${name}`, () => {
    const ending = new AbortController()
    let served: Served
    before(async () => {
      served = await start({ ending: ending.signal })
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

    it('refuses an unknown address with a sentence as detail', async () => {
      const answer = await fetch(`${served.url}/nowhere/at/all`)

      expect(answer.status).to.equal(404)
      expect(((await answer.json()) as { detail: unknown }).detail).to.be.a('string')
    })

    it('answers probes that it lives and is ready, without cookie, token or body', async () => {
      const live = await fetch(`${served.url}/health/live`)
      const ready = await fetch(`${served.url}/health/ready`)

      expect([live.status, await live.json()]).to.deep.equal([200, { status: 'ok' }])
      expect([ready.status, await ready.json()]).to.deep.equal([200, { ready: true }])
      expect(ready.headers.get('content-type')).to.match(/^application\/json/)
      expect(ready.headers.get('cache-control')).to.equal('no-store')
      expect(await ask('HEAD', '/health/ready', {})).to.equal(200)
      expect(await ask('GET', '/health/ready?from=a-load-balancer', {})).to.equal(200)
    })

    it('is not ready from the moment it is asked to end, and still lives', async () => {
      ending.abort(new Error('asked to end'))

      const ready = await fetch(`${served.url}/health/ready`)
      const live = await fetch(`${served.url}/health/live`)

      expect([ready.status, await ready.json()]).to.deep.equal([
        503,
        { ready: false, reason: 'The server is stopping.' },
      ])
      expect(live.status).to.equal(200)
    })
  })
}
