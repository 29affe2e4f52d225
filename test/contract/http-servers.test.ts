import { request } from 'node:http'
import { expect } from 'chai'
import { execa } from 'execa'
import type { FastifyInstance } from 'fastify'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createConverterHttp } from '../../src/nodes/converter/converter-http.js'
import { createNodeHttp, type NodeHttpRules } from '../../src/nodes/node-http.js'
import { startDashboardFixture } from '../dashboard/dashboard-fixture.js'
import { startDetectorFixture } from '../detector/detector-fixture.js'
import { until } from '../helpers/until.js'
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

describe('A server is not ready', () => {
  const readiness = async (url: string) => {
    const answer = await fetch(`${url}/health/ready`, { headers: { connection: 'close' } })
    return { status: answer.status, ...((await answer.json()) as object) }
  }

  it('while a detector has no model, and again when it has lost it', async () => {
    const detector = await startDetectorFixture()
    try {
      detector.setLoaded(false)
      const reason = 'No model is loaded: no target is set.'
      expect(await readiness(detector.url)).to.deep.equal({ status: 503, ready: false, reason })
      expect((await fetch(`${detector.url}/health`)).status, 'the older address').to.equal(200)
      detector.setLoaded(true)
      expect(await readiness(detector.url)).to.deep.equal({ status: 200, ready: true })
    } finally {
      await detector.close()
    }
  })

  it('while a local Loop prepares its projects', async () => {
    const { port } = new URL(await freeAddress())
    const starting = startLoop({ port: Number(port) })
    const first = await until('it listens', () => readiness(`http://127.0.0.1:${port}`).catch(() => undefined))
    const loop = await starting
    try {
      expect(first).to.deep.equal({ status: 503, ready: false, reason: 'The projects are being prepared.' })
      expect(await readiness(loop.url)).to.deep.equal({ status: 200, ready: true })
    } finally {
      await loop.remove()
    }
  })

  for (const [name, create] of [
    ['trainer node', (rules: NodeHttpRules) => createNodeHttp(switches, { ...rules, log })],
    [
      'converter',
      (rules: NodeHttpRules) =>
        createConverterHttp({ ...rules, backdoor: false }, { node: converter, ...switches, log }),
    ],
  ] as const) {
    it(`while a ${name} cannot work, with its reason`, async () => {
      let reason: string | undefined = 'The node is not connected to the Loop.'
      const served = await listen(create({ whyNotReady: () => reason }))
      try {
        expect(await readiness(served.url)).to.deep.equal({ status: 503, ready: false, reason })
        reason = undefined
        expect(await readiness(served.url)).to.deep.equal({ status: 200, ready: true })
      } finally {
        await served.close()
      }
    })
  }
})

async function freeAddress(): Promise<string> {
  const { url, close } = await listen(createNodeHttp(switches, { log }))
  await close()
  return url
}
