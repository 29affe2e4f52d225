import { expect } from 'chai'
import { silentLogger } from '../../../../src/base/logger/logger.js'
import { createLoopSession, type LoopSession } from '../../../../src/loop/client/session/session.js'
import { createLoopSocket, type LoopSocket, type LoopSocketOptions } from '../../../../src/loop/client/socket/socket.js'
import { json } from '../../../helpers/http-loop.js'
import { rejection } from '../../../helpers/rejection.js'
import { type SocketLoop, type SocketLoopOptions, startSocketLoop } from '../../../helpers/socket-loop.js'

describe('Loop socket', () => {
  const closers: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })
  const log = silentLogger()
  const account = { username: 'robot', password: 'secret-of-robot' }

  async function serve(options: SocketLoopOptions = {}): Promise<SocketLoop> {
    const loop = await startSocketLoop(options)
    closers.push(() => loop.close())
    return loop
  }

  function create(
    loop: { readonly host: string },
    options: Partial<LoopSocketOptions> & { readonly account?: typeof account } = {},
  ): { socket: LoopSocket; session: LoopSession } {
    const session = createLoopSession({ host: loop.host, ...options.account }, { log })
    const socket = createLoopSocket({ nodeType: 'trainer', reconnectMaxMs: 50, ...options }, { session, log })
    closers.push(
      () => session.close(),
      () => socket.stop(),
    )
    return { socket, session }
  }

  async function open(loop: SocketLoop, options: Parameters<typeof create>[1] = {}): Promise<LoopSocket> {
    const { socket } = create(loop, options)
    await socket.start({ signal: new AbortController().signal })
    await socket.whenConnected()
    return socket
  }

  it('introduces itself by the headers of the handshake and comes over WebSocket', async () => {
    const loop = await serve()

    await open(loop, { organization: 'acme', project: 'demo' })

    const [peer] = loop.sockets
    expect(peer?.handshake.headers).to.include({ organization: 'acme', project: 'demo', nodetype: 'trainer' })
    expect(peer?.handshake.headers).not.to.have.property('cookie')
    expect(peer?.conn.transport.name).to.equal('websocket')
  })

  it('falls back to long polling where WebSocket is impossible', async () => {
    const loop = await serve({ transports: ['polling'] })

    await open(loop)

    expect(loop.sockets[0]?.conn.transport.name).to.equal('polling')
  })

  it('logs in again before every connection', async () => {
    let logins = 0
    const rest = () => ({ headers: { 'set-cookie': `token=t${++logins}; Path=/api` } })
    const loop = await serve({ rest })
    await open(loop, { account })

    loop.sockets[0]?.disconnect(true)

    const second = await loop.connection(2)
    expect(loop.sockets[0]?.handshake.headers.cookie).to.equal('token=t1')
    expect(second.handshake.headers.cookie).to.equal('token=t2')
  })

  it('keeps trying while the Loop refuses it', async () => {
    let refusals = 3
    const loop = await serve({ refuse: () => (refusals-- > 0 ? 'not now' : undefined) })

    const socket = await open(loop)

    expect(socket.connected).to.equal(true)
  })

  it('keeps trying while the login is refused', async () => {
    let refusals = 3
    const loop = await serve({ rest: () => (refusals-- > 0 ? json({ detail: 'no' }, 401) : {}) })

    const socket = await open(loop, { account })

    expect(socket.connected).to.equal(true)
  })

  it('hands the answer of the Loop to the sender', async () => {
    const loop = await serve({
      onConnect: (peer) =>
        peer.on('update_training', (...args) =>
          args.at(-1)({ success: true, error_msg: null, payload: args.slice(0, -1) }),
        ),
    })
    const socket = await open(loop)

    const answer = await socket.emit('update_training', 'acme', 'demo', { best_epoch: 1 }, { timeoutMs: 5000 })

    expect(answer).to.deep.equal({ success: true, error_msg: null, payload: ['acme', 'demo', { best_epoch: 1 }] })
  })

  it('takes its options in front of the arguments, too', async () => {
    const loop = await serve({
      onConnect: (peer) => peer.on('hello', (...args) => args.at(-1)({ success: true, payload: args.length })),
    })
    const socket = await open(loop)

    const answer = await socket.emit('hello', { timeoutMs: 5000 }, 'you')

    expect(answer.payload).to.equal(2)
  })

  for (const [what, answer] of [
    ['nothing', undefined],
    ['a text', 'ok'],
    ['an object without success', { error_msg: null }],
    ['a success that is no boolean', { success: 'yes' }],
    ['an error_msg that is a number', { success: false, error_msg: 7 }],
  ] as const) {
    it(`does not take ${what} for an answer`, async () => {
      const loop = await serve({ onConnect: (peer) => peer.on('hello', (acknowledge) => acknowledge(answer)) })
      const socket = await open(loop)

      const error = await socket.emit('hello').catch((thrown: unknown) => thrown)

      expect(error).to.deep.include({ code: 'LF_LOOP_ANSWER', failure: 'transient' })
    })
  }

  it('tells when no answer comes in time', async () => {
    const loop = await serve()
    const socket = await open(loop)

    const error = await socket.emit('hello', { timeoutMs: 50 }).catch((thrown: unknown) => thrown)

    expect((error as Error).message).to.equal('The Loop did not answer "hello" for 0.05 s.')
  })

  it('sends nothing without a connection and keeps nothing for later', async () => {
    const loop = await serve()
    const { socket } = create(loop)

    const error = await socket.emit('hello').catch((thrown: unknown) => thrown)

    expect(error).to.deep.include({ code: 'LF_LOOP_SOCKET', failure: 'transient' })
  })

  it('tells every waiting sender immediately when the connection is lost', async () => {
    const loop = await serve()
    const socket = await open(loop)
    const outcomes = Promise.allSettled([socket.emit('a'), socket.emit('b')])

    loop.sockets[0]?.disconnect(true)

    expect((await outcomes).map(({ status }) => status)).to.deep.equal(['rejected', 'rejected'])
  })

  it('stops waiting for an answer with the reason of the signal', async () => {
    const loop = await serve()
    const socket = await open(loop)
    const ending = new AbortController()
    const outcome = socket.emit('a', { signal: ending.signal }).catch((thrown: unknown) => thrown)
    const reason = new Error('enough')

    ending.abort(reason)

    expect(await outcome).to.equal(reason)
  })

  for (const { title, handler, answer } of [
    {
      title: 'a text as payload',
      handler: () => '<svg>',
      answer: { success: true, error_msg: null, payload: '<svg>' },
    },
    { title: 'true as success', handler: async () => true, answer: { success: true, error_msg: null, payload: null } },
    { title: 'false as failure', handler: () => false, answer: { success: false, error_msg: null, payload: null } },
    {
      title: 'an error as failure with its text',
      handler: () => {
        throw new Error('busy with 7')
      },
      answer: { success: false, error_msg: 'busy with 7', payload: null },
    },
    { title: 'nothing as an ack without argument', handler: () => undefined, answer: undefined },
  ]) {
    it(`answers the Loop with ${title}`, async () => {
      const loop = await serve()
      const socket = await open(loop)
      socket.on('begin_training', handler)

      const args = await acknowledged(loop, 'begin_training', 'acme', 'demo')

      expect(args).to.deep.equal(answer === undefined ? [] : [answer])
    })
  }

  it('refuses in the envelope what a handler may not return', async () => {
    const loop = await serve()
    const socket = await open(loop)
    socket.on('begin_training', () => ({ a: 1 }))

    const [answer] = await acknowledged(loop, 'begin_training')

    expect(answer).to.have.property('success', false)
  })

  it('acknowledges an event without handler, so that the Loop does not wait for nothing', async () => {
    const loop = await serve()
    await open(loop)

    expect(await acknowledged(loop, 'stop_training')).to.deep.equal([])
  })

  it('hands the arguments of an event to its handler one by one', async () => {
    const loop = await serve()
    const socket = await open(loop)
    const seen: unknown[] = []
    socket.on('begin_training', (...args) => {
      seen.push(...args)
      return true
    })

    await acknowledged(loop, 'begin_training', 'acme', 'demo', { training_number: 7 })

    expect(seen).to.deep.equal(['acme', 'demo', { training_number: 7 }])
  })

  it('tells that the Loop asks for a restart', async () => {
    const loop = await serve()
    const socket = await open(loop)
    const restart = new Promise<void>((resolve) => socket.onRestart(resolve))

    loop.sockets[0]?.emit('restart')

    await restart
  })

  it('hears what the Loop sends in the first moment of a connection', async () => {
    const loop = await serve({ onConnect: (peer) => peer.emit('restart') })
    const { socket } = create(loop)
    const restart = new Promise<void>((resolve) => socket.onRestart(resolve))

    await socket.start({ signal: new AbortController().signal })

    await restart
  })

  it('makes a new connection when asked to, and reports on it', async () => {
    const loop = await serve()
    const socket = await open(loop)
    const told: string[] = []
    socket.onDisconnect((reason) => told.push(reason))
    socket.onConnect(() => told.push('connected'))

    socket.reconnect()
    await loop.connection(2)
    await socket.whenConnected()

    expect(told).to.deep.equal(['io client disconnect', 'connected'])
    expect(loop.sockets[0]?.connected).to.equal(false)
  })

  it('comes back when the Loop itself was away', async () => {
    const loop = await serve()
    const socket = await open(loop)
    const port = Number(loop.host.split(':')[1])
    const disconnected = new Promise((resolve) => socket.onDisconnect(resolve))
    await loop.close()
    await disconnected

    const { Server } = await import('socket.io')
    const again = new Server(port, { path: '/ws/socket.io/' })
    closers.push(() => again.close())

    await socket.whenConnected()
  })

  it('holds no cookie in the error of a failed connection', async () => {
    const lines: string[] = []
    const { createLogger } = await import('../../../../src/base/logger/logger.js')
    const loud = createLogger({ level: 'trace', destination: { write: (line: string) => lines.push(line) } })
    const rest = () => ({ headers: { 'set-cookie': 'token=cookie-value-1' } })
    const loop = await serve({ rest, refuse: () => 'not you' })
    const session = createLoopSession({ host: loop.host, ...account }, { log: loud })
    const socket = createLoopSocket({ nodeType: 'trainer' }, { session, log: loud })
    closers.push(
      () => session.close(),
      () => socket.stop(),
    )

    await socket.start({ signal: new AbortController().signal })
    while (!lines.some((line) => line.includes('not you'))) await new Promise((resolve) => setTimeout(resolve, 5))

    expect(lines.join('')).not.to.match(/cookie-value-1|secret-of-robot/)
  })

  it('rejects what waits for a connection when it is stopped', async () => {
    const { socket } = create(await serve())
    const waiting = rejection(socket.whenConnected())
    await socket.stop()

    expect(await waiting).to.include({ code: 'LF_LOOP_CLOSED' })
  })
})

/** Sends an event as the Loop and collects the arguments of the ack. */
async function acknowledged(loop: SocketLoop, event: string, ...args: unknown[]): Promise<unknown[]> {
  const peer = await loop.connection(1)
  return new Promise((resolve) => peer.emit(event, ...args, (...answer: unknown[]) => resolve(answer)))
}
