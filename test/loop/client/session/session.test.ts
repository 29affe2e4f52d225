import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import { silentLogger } from '../../../../src/base/logger/logger.js'
import { LoopLoginError, LoopRequestError } from '../../../../src/loop/client/session/errors.js'
import {
  createLoopSession,
  type LoopSession,
  type LoopSessionOptions,
} from '../../../../src/loop/client/session/session.js'
import { type HttpLoop, json, type Reply, type SeenRequest, startHttpLoop } from '../../../helpers/http-loop.js'

describe('Loop session', () => {
  const closers: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  async function serve(answer: (request: SeenRequest) => Reply | Promise<Reply>): Promise<HttpLoop> {
    const loop = await startHttpLoop(answer)
    closers.push(() => loop.close())
    return loop
  }

  function open(loop: HttpLoop, options: Partial<LoopSessionOptions> = {}): LoopSession {
    const session = createLoopSession({ host: loop.host, ...options }, { log: silentLogger() })
    closers.push(() => session.close())
    return session
  }

  const account = { username: 'robot', password: 'secret-of-robot' }

  /** Logs everybody in as session n, and answers 401 to every cookie but the newest. */
  function guarded(state: { logins: number; valid: string }) {
    return (request: SeenRequest): Reply => {
      if (request.url === '/api/login') {
        state.logins += 1
        state.valid = `token=t${state.logins}`
        return { headers: { 'set-cookie': `${state.valid}; Path=/api; HttpOnly; Secure` } }
      }
      return request.headers.cookie === state.valid ? json({ ok: true }) : json({ detail: 'who are you?' }, 401)
    }
  }

  it('logs in once for many requests at the same time', async () => {
    const state = { logins: 0, valid: '' }
    const loop = await serve(guarded(state))
    const session = open(loop, account)

    const answers = await Promise.all(Array.from({ length: 20 }, () => session.request({ method: 'GET', path: '/a' })))

    expect(answers.map(({ status }) => status)).to.deep.equal(Array(20).fill(200))
    expect(state.logins).to.equal(1)
    expect(loop.seenAt(/login/)[0]?.body.toString()).to.equal('username=robot&password=secret-of-robot')
  })

  it('logs in again, once for all, when the Loop has forgotten the session', async () => {
    const state = { logins: 0, valid: '' }
    const session = open(await serve(guarded(state)), account)
    await session.request({ method: 'GET', path: '/a' })
    state.valid = 'token=expired'

    await Promise.all(Array.from({ length: 20 }, () => session.request({ method: 'GET', path: '/a' })))

    expect(state.logins).to.equal(2)
  })

  it('does not log in without credentials', async () => {
    const loop = await serve(() => json({}))
    const session = open(loop)

    await session.login()
    await session.request({ method: 'GET', path: '/a' })

    expect(loop.seen.map(({ url }) => url)).to.deep.equal(['/api/a'])
  })

  it('gives a 401 up after one new login', async () => {
    const loop = await serve(({ url }) => (url === '/api/login' ? {} : json({ detail: 'no' }, 401)))
    const session = open(loop, account)

    const error = await session.request({ method: 'GET', path: '/a' }).catch((thrown: unknown) => thrown)

    expect(error).to.be.instanceOf(LoopRequestError)
    expect(error).to.deep.include({ failure: 'fatal', code: 'LF_LOOP_REQUEST' })
    expect(loop.seen).to.have.lengthOf(4)
  })

  it('keeps every cookie of the login and sends it everywhere', async () => {
    const loop = await serve(({ url }) =>
      url === '/api/login' ? { headers: { 'set-cookie': ['token=a; Path=/api', 'odd=b; Path=/x; Secure'] } } : {},
    )
    const session = open(loop, account)

    await session.request({ method: 'GET', path: '/a' })

    expect(loop.seen.at(-1)?.headers.cookie).to.equal('token=a; odd=b')
    expect(session.cookieHeader()).to.equal('token=a; odd=b')
  })

  it('tells a refused login from a Loop that is away', async () => {
    let status = 401
    const loop = await serve(() => json({ detail: 'wrong password secret-of-robot' }, status))
    const session = open(loop, account)

    const refused = await session.login().catch((thrown: unknown) => thrown)
    status = 503
    const away = await session.login().catch((thrown: unknown) => thrown)

    expect(refused).to.be.instanceOf(LoopLoginError).and.deep.include({ failure: 'fatal' })
    expect(away).to.be.instanceOf(LoopLoginError).and.deep.include({ failure: 'transient' })
    expect(JSON.stringify([refused, (refused as Error).message])).not.to.contain('secret-of-robot')
  })

  it('waits as long as a 429 asks for', async () => {
    let refusals = 2
    const loop = await serve(() => (refusals-- > 0 ? { status: 429, headers: { 'retry-after': '0.2' } } : json({})))
    const session = open(loop)
    const startedAt = performance.now()

    await session.request({ method: 'GET', path: '/a' })

    expect(performance.now() - startedAt).to.be.greaterThan(390)
    expect(loop.seen).to.have.lengthOf(3)
  })

  it('waits by its own measure when a 429 does not say how long', async () => {
    let refusals = 2
    const loop = await serve(() => (refusals-- > 0 ? { status: 429 } : json({})))
    const session = open(loop, { retryAfterMaxMs: 50 })

    await session.request({ method: 'GET', path: '/a' })

    expect(loop.seen).to.have.lengthOf(3)
  })

  it('does not wait longer than its limit, whatever a 429 asks for, and gives up in the end', async () => {
    const loop = await serve(() => ({ status: 429, headers: { 'retry-after': '86400' } }))
    const session = open(loop, { retryAfterMaxMs: 10, tooManyAttempts: 3 })

    const error = await session.request({ method: 'GET', path: '/a' }).catch((thrown: unknown) => thrown)

    expect(error).to.deep.include({ failure: 'transient' })
    expect(loop.seen).to.have.lengthOf(3)
  })

  it('ends the wait of a 429 with the reason of the signal', async () => {
    const loop = await serve(() => ({ status: 429, headers: { 'retry-after': '30' } }))
    const session = open(loop)
    const ending = new AbortController()
    const request = session.request({ method: 'GET', path: '/a', signal: ending.signal })
    const outcome = request.catch((thrown: unknown) => thrown)
    const reason = new Error('enough')

    ending.abort(reason)

    expect(await outcome).to.equal(reason)
  })

  it('gives up on a Loop that accepts the request and says nothing', async () => {
    const session = open(await serve(() => ({ silent: true })), { timeoutMs: 100 })

    const error = await session.request({ method: 'GET', path: '/a' }).catch((thrown: unknown) => thrown)

    expect(error).to.be.instanceOf(LoopRequestError)
    expect((error as Error).message).to.equal('The Loop did not answer GET /a: no sign of life for 0.1 s.')
  })

  it('holds neither cookie nor password in an error, though the server repeats both', async () => {
    const loop = await serve(({ url, headers, body }) =>
      url === '/api/login'
        ? { headers: { 'set-cookie': 'token=cookie-value-1' } }
        : json({ detail: { you: headers.cookie, sent: body.toString(), also: 'secret-of-robot' } }, 400),
    )
    const session = open(loop, account)

    const error = await session.request({ method: 'POST', path: '/a', json: {} }).catch((thrown: unknown) => thrown)

    const shown = everythingIn(error)
    expect(shown).to.contain('***')
    expect(shown).not.to.match(/cookie-value-1|secret-of-robot/)
  })

  it('holds neither cookie nor password in the error of a broken connection', async () => {
    const loop = await serve(({ url }) =>
      url === '/api/login'
        ? { headers: { 'set-cookie': 'token=cookie-value-1' } }
        : { body: 'x'.repeat(1000), cutAfter: 10 },
    )
    const session = open(loop, account)

    const error = await session.request({ method: 'GET', path: '/a' }).catch((thrown: unknown) => thrown)

    expect(error).to.deep.include({ failure: 'transient' })
    expect(everythingIn(error)).not.to.match(/cookie-value-1|secret-of-robot/)
  })

  it('follows no redirect, which could carry the cookie to another host', async () => {
    const loop = await serve(() => ({ status: 302, headers: { location: 'http://127.0.0.1:1/' } }))

    const error = await open(loop)
      .request({ method: 'GET', path: '/a' })
      .catch((thrown: unknown) => thrown)

    expect(error).to.deep.include({ failure: 'fatal' })
  })

  describe('a GET of plain bytes', () => {
    const headers = { 'accept-encoding': 'identity' }
    const image = { method: 'GET', path: '/acme/image', headers } as const

    it('logs in again when the session has expired', async () => {
      const state = { logins: 0, valid: '' }
      const session = open(await serve(guarded(state)), account)
      await session.request(image)
      state.valid = 'token=expired'

      const response = await session.request(image)

      expect(response.body.toString()).to.equal('{"ok":true}')
      expect(state.logins).to.equal(2)
    })

    it('shares its connection with all other requests', async () => {
      const loop = await serve(() => json({ ok: true }))
      const ports = new Set<number | undefined>()
      loop.server.on('request', (request) => ports.add(request.socket.remotePort))
      const session = open(loop)

      await session.request({ method: 'GET', path: '/status' })
      await session.request(image)
      await session.request(image)

      expect(ports.size).to.equal(1)
    })

    it('is unpacked when a proxy packs it all the same', async () => {
      const loop = await serve(() => ({ headers: { 'content-encoding': 'gzip' }, body: gzipSync('the image') }))

      const response = await open(loop).request(image)

      expect(response.body.toString()).to.equal('the image')
    })

    it('holds neither cookie nor password in its errors', async () => {
      const state = { logins: 0, valid: '' }
      const loop = await serve((request) =>
        request.url === '/api/login' ? guarded(state)(request) : { body: 'x'.repeat(100), cutAfter: 10 },
      )
      const session = open(loop, account)

      const error = await session.request(image).catch((thrown: unknown) => thrown)

      expect(error).to.be.instanceOf(LoopRequestError).and.to.include({ failure: 'transient' })
      expect(inspect(error, { depth: 10, showHidden: true })).not.to.match(/token=|t1\b|secret-of-robot/)
    })

    it('ends with the reason of the signal, before it is sent and while it waits', async () => {
      const reason = new Error('not any more')
      const ending = new AbortController()
      const loop = await serve(() => {
        ending.abort(reason)
        return { silent: true }
      })
      const session = open(loop)
      const aborted = AbortSignal.abort(reason)

      const early = await session.request({ ...image, signal: aborted }).catch((thrown: unknown) => thrown)
      const waiting = await session.request({ ...image, signal: ending.signal }).catch((thrown: unknown) => thrown)

      expect([early, waiting]).to.deep.equal([reason, reason])
      expect(loop.seen).to.have.lengthOf(1)
    })

    it('is given up when the Loop says nothing', async () => {
      const loop = await serve(() => ({ silent: true }))

      const error = await open(loop, { timeoutMs: 50 })
        .request(image)
        .catch((thrown: unknown) => thrown)

      expect(error).to.have.property('message').that.includes('no sign of life for 0.05 s')
    })
  })

  it('waits until the Loop is ready', async () => {
    let starting = 3
    const loop = await serve(() => (starting-- > 0 ? { status: 502, body: '<html>bad gateway</html>' } : json({})))

    await open(loop, { readyEveryMs: 10 }).waitUntilReady({})

    expect(loop.seen).to.have.lengthOf(4)
  })

  it('sends nothing any more once it is closed', async () => {
    const session = open(await serve(() => ({ silent: true })))
    const outcome = session.request({ method: 'GET', path: '/a' }).catch((thrown: unknown) => thrown)

    session.close()

    expect(await outcome).to.deep.include({ code: 'LF_LOOP_CLOSED' })
    const later = await session.request({ method: 'GET', path: '/a' }).catch((thrown: unknown) => thrown)
    expect(later).to.deep.include({ code: 'LF_LOOP_CLOSED' })
  })
})

/** All that a logger could print of an error, own and inherited, through all its causes. */
function everythingIn(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error)
  const own = Object.getOwnPropertyNames(error).map((key) => Reflect.get(error, key))
  return own.map((value) => (typeof value === 'object' ? everythingIn(value) : String(value))).join('\n')
}
