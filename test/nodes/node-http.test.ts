import { expect } from 'chai'
import type { FastifyInstance } from 'fastify'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createNodeHttp } from '../../src/nodes/node-http.js'
import { RedisUnfitError, RedisUnreachableError } from '../../src/queue/redis-basics/redis-errors.js'
import { sendThenRead } from '../helpers/send-then-read.js'

describe('the REST endpoints of a node', () => {
  let server: FastifyInstance
  let switched: string[]
  let isBroken: boolean
  beforeEach(() => {
    switched = []
    isBroken = false
    server = createNodeHttp(
      {
        async setOnline(online) {
          if (isBroken) throw new Error('socket trouble')
          switched.push(`online ${online}`)
        },
        setDebugLogging: (on) => void switched.push(`debug ${on}`),
      },
      { log: silentLogger() },
    )
  })
  afterEach(() => server.close())

  const put = (url: '/socketio' | '/debug_logging', body: string, type = 'text/plain') =>
    server.inject({ method: 'PUT', url, headers: { 'content-type': type }, payload: body })

  it('has no backdoor unless it is given one', async () => {
    for (const url of ['/reset', '/force_status_update']) {
      expect((await server.inject({ method: 'POST', url })).statusCode, url).to.equal(404)
    }
  })

  for (const [url, name] of [
    ['/socketio', 'online'],
    ['/debug_logging', 'debug'],
  ] as const) {
    it(`${url} switches and answers with the state as JSON`, async () => {
      const on = await put(url, 'on')
      const off = await put(url, 'off')

      expect([on.statusCode, on.json()]).to.deep.equal([200, 'on'])
      expect([off.statusCode, off.json()]).to.deep.equal([200, 'off'])
      expect(on.headers['content-type']).to.match(/^application\/json/)
      expect(switched).to.deep.equal([`${name} true`, `${name} false`])
    })

    it(`${url} takes the word in whatever way it is sent`, async () => {
      await put(url, '"on"', 'application/json')
      await put(url, 'on\n', 'application/x-www-form-urlencoded')
      await server.inject({ method: 'PUT', url, payload: Buffer.from('on') })

      expect(switched).to.deep.equal([`${name} true`, `${name} true`, `${name} true`])
    })

    for (const body of ['', 'ON', 'maybe', '{"state": "on"}', 'on off', '\0']) {
      it(`${url} refuses ${JSON.stringify(body)} as the Python nodes do`, async () => {
        const answer = await put(url, body)

        expect([answer.statusCode, answer.json()]).to.deep.equal([400, { detail: 'Invalid state' }])
        expect(switched).to.deep.equal([])
      })
    }
  }

  it('refuse a body that can be no switch before it is read', async () => {
    const answer = await put('/socketio', 'on'.repeat(10_000))

    expect(answer.statusCode).to.equal(413)
    expect(switched).to.deep.equal([])
  })

  it('are seen to refuse by clients that read only when they have sent all', async () => {
    const url = await server.listen({ port: 0, host: '127.0.0.1' })

    const answer = await sendThenRead(url, ['PUT /socketio HTTP/1.1', 'content-type: text/plain'], Buffer.alloc(1e7))

    expect(answer).to.match(/^HTTP\/1\.1 413 /)
  })

  it('answer 404 to other paths and methods', async () => {
    const other = await server.inject({ method: 'PUT', url: '/reset' })
    const get = await server.inject({ method: 'GET', url: '/socketio' })

    expect([other.statusCode, get.statusCode]).to.deep.equal([404, 404])
  })

  it('answer 500 when switching fails', async () => {
    isBroken = true

    expect((await put('/socketio', 'off')).statusCode).to.equal(500)
  })

  for (const error of [
    new RedisUnfitError({ url: 'redis://x', fault: 'takes no writes', wayOut: 'wait' }),
    new RedisUnreachableError({ url: 'redis://x', reason: 'no answer' }),
  ]) {
    it(`answers a reset with 503 and the reason when it is refused by ${error.code}`, async () => {
      const reset = () => Promise.reject(error)
      const backdoor = { reset, sendStatus: () => undefined }
      const switches = { setOnline: async () => undefined, setDebugLogging: () => undefined, backdoor }
      const broken = createNodeHttp(switches, { log: silentLogger() })

      const answer = await broken.inject({ method: 'POST', url: '/reset' })
      await broken.close()

      expect([answer.statusCode, answer.json()]).to.deep.equal([503, { detail: error.message }])
    })
  }
})
