import { expect } from 'chai'
import { createHttpServer, type HttpServerOptions } from '../../../src/base/http/server.js'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { rejection } from '../../helpers/rejection.js'

describe('The probes of a server', () => {
  const closers: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0)) await close()
  })

  /** `/slow` is answered when `answer` is called. */
  async function start(options: Partial<HttpServerOptions> = {}) {
    const { app } = createHttpServer({ maxBodyBytes: 1000, ...options }, { log: silentLogger() })
    let answer: () => void = () => undefined
    let begun: () => void = () => undefined
    const isBegun = new Promise<void>((resolve) => (begun = resolve))
    const answered = new Promise<void>((resolve) => (answer = resolve))
    app.get('/slow', async () => {
      begun()
      await answered
      return { slow: true }
    })
    app.post('/slow', async () => 'taken')
    app.get('/fails', async () => {
      throw new Error('a secret of ours')
    })
    app.addHook('onRequest', async (request) => {
      if (request.headers.authorization === undefined)
        throw Object.assign(new Error('who are you?'), { statusCode: 401 })
    })
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    closers.push(() => app.close())
    const get = (path: string) => fetch(`${url}${path}`, { headers: { authorization: 'me', connection: 'close' } })
    return { app, url, get, answer, isBegun }
  }

  it('are answered before any rule of the part', async () => {
    const { url } = await start()

    expect((await fetch(`${url}/slow`)).status).to.equal(401)
    expect((await fetch(`${url}/health/live`)).status).to.equal(200)
    expect((await fetch(`${url}/health/ready`)).status).to.equal(200)
  })

  it('name the reason for which the part cannot work, as long as it cannot', async () => {
    let reason: string | undefined = 'Redis is unreachable.'
    const { get } = await start({ whyNotReady: () => reason })

    const before = await get('/health/ready')
    expect([before.status, await before.json()]).to.deep.equal([503, { ready: false, reason }])
    expect((await get('/health/live')).status).to.equal(200)
    reason = undefined
    expect((await get('/health/ready')).status).to.equal(200)
    reason = 'It is unreachable again.'
    expect((await get('/health/ready')).status).to.equal(503)
  })

  it('are answered while a server that closes finishes its answers, and other requests are refused', async () => {
    const { app, get, answer, isBegun } = await start({ finishAnswersMs: 10_000 })
    const slow = get('/slow')
    await isBegun

    const closing = app.close()
    const ready = await get('/health/ready')
    const live = await get('/health/live')
    const other = await get('/slow')

    expect([ready.status, await ready.json()]).to.deep.equal([503, { ready: false, reason: 'The server is stopping.' }])
    expect(live.status).to.equal(200)
    expect([other.status, other.headers.get('retry-after')]).to.deep.equal([503, '2'])
    answer()
    expect(await (await slow).json()).to.deep.equal({ slow: true })
    await closing
    expect((await rejection(get('/health/live'))).cause).to.include({ code: 'ECONNREFUSED' })
  })

  it('do not keep a server open whose last answer never comes', async () => {
    const { app, get, isBegun } = await start({ finishAnswersMs: 200 })
    const slow = rejection(get('/slow'))
    await isBegun
    const startedAt = performance.now()

    await app.close()

    expect(performance.now() - startedAt).to.be.within(150, 2000)
    await slow
  })

  it('close immediately a server that finishes no answers', async () => {
    const { app, get, isBegun } = await start()
    const slow = rejection(get('/slow'))
    await isBegun
    const startedAt = performance.now()

    await app.close()

    expect(performance.now() - startedAt).to.be.below(500)
    await slow
  })

  it('leave the errors of a server as they are: a sentence as detail, and nothing of its own mistakes', async () => {
    const { url, get } = await start()
    const tooLarge = await fetch(`${url}/slow`, {
      method: 'POST',
      headers: { authorization: 'me', 'content-type': 'application/json' },
      body: JSON.stringify('x'.repeat(2000)),
    })

    expect(await (await get('/fails')).json()).to.deep.equal({ detail: 'Internal error.' })
    expect(await (await get('/nowhere')).json()).to.deep.equal({ detail: 'Not Found' })
    expect(await tooLarge.json()).to.have.all.keys('detail')
  })
})
