import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { createLogger, silentLogger } from '../../src/base/logger/logger.js'
import { createLoopSession } from '../../src/loop/client/session/session.js'
import { createLoopSocket } from '../../src/loop/client/socket/socket.js'
import { createLoopNode, type LoopNode, type LoopNodeOptions, type NodeRole } from '../../src/nodes/loop-node.js'
import { createFleet, type Fleet } from '../../src/queue/fleet/fleet.js'
import { rejection } from '../helpers/rejection.js'
import { type SocketLoop, startSocketLoop } from '../helpers/socket-loop.js'
import { until } from '../helpers/until.js'
import { type RedisFixture, startRedisFixture } from '../queue/redis-fixture.js'

const IDENTITY = { uuid: '0b0e4c7a-6a3e-4b0a-9a55-0d5c7d4c1c11', name: 'a node' }
const yes = { success: true, error_msg: null, payload: null }
const no = { success: false, error_msg: 'not you', payload: null }

describe('A LoopNode', () => {
  const closers: (() => unknown)[] = []
  let loop: SocketLoop
  /** How the Loop answers a status. */
  let answer: () => unknown
  let statuses: unknown[]
  let lines: { msg: string; level: number }[]
  beforeEach(async () => {
    answer = () => yes
    statuses = []
    lines = []
    loop = await startSocketLoop({
      onConnect: (socket) =>
        socket.on('status', async (status, ack) => {
          statuses.push(status)
          const given = await answer()
          if (given !== undefined) ack(given)
        }),
    })
    closers.push(() => loop.close())
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  function create(options: Partial<LoopNodeOptions> = {}, role: NodeRole = {}): LoopNode {
    const session = createLoopSession({ host: loop.host }, { log: silentLogger() })
    const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
    const createSocket = () =>
      createLoopSocket({ nodeType: 'node', reconnectMaxMs: 50 }, { session, log: silentLogger() })
    let count = 0
    const node: LoopNode = createLoopNode(
      { identity: IDENTITY, heartbeatMs: 60_000, ...options },
      {
        report: async () => {
          if (!node.isConnected()) return false
          count += 1
          return (await node.emitStatus('status', [count], 1000)).success
        },
        ...role,
      },
      { createSocket, log: createLogger({ destination }) },
    )
    closers.push(async () => {
      await node.stop()
      session.close()
    })
    return node
  }

  async function start(...given: Parameters<typeof create>): Promise<LoopNode> {
    const node = create(...given)
    await node.start({ signal: new AbortController().signal })
    return node
  }

  const said = (text: string) => lines.filter(({ msg }) => msg === text)

  it('sends once more, after the status that is under way, however often one becomes due meanwhile', async () => {
    let go: (value: unknown) => void = () => undefined
    answer = () => new Promise((resolve) => (go = resolve))
    const node = await start()
    await until('the first is under way', () => statuses.length === 1)

    for (let times = 0; times < 20; times += 1) node.sendStatus('change')
    await sleep(50)
    expect(statuses).to.deep.equal([1])
    answer = () => yes
    go(yes)

    await until('the second has come', () => statuses.length === 2)
    await sleep(50)
    expect(statuses).to.deep.equal([1, 2])
  })

  it('misses no status that becomes due in the moment in which another one ends', async () => {
    const node = await start()
    await until('the first has come', () => statuses.length === 1)
    for (let round = 0; round < 50; round += 1) {
      const before = statuses.length
      node.sendStatus()
      await until('it has come', () => statuses.length > before)
      for (let turn = 0; turn < round % 7; turn += 1) await undefined
      node.sendStatus()
      await until('and the next one', () => statuses.length > before + 1)
    }
  })

  it('knows why a status is due', async () => {
    const seen: string[][] = []
    let go: (value?: unknown) => void = () => undefined
    const first = new Promise((resolve) => (go = resolve))
    const node = await start(
      {},
      {
        report: async (causes) => {
          seen.push([...causes])
          await first
          return true
        },
      },
    )
    await until('it has connected', () => seen.length === 1)
    node.sendStatus('change')
    node.sendStatus('heartbeat')
    node.sendStatus('change')
    go()

    await until('both are reported', () => seen.length === 2)
    expect(seen).to.deep.equal([['asked'], ['change', 'heartbeat']])
  })

  it('connects with a fresh socket when it is set online again, and reports', async () => {
    const node = await start()
    const socket = await loop.connection(1)
    await until('it has reported', () => statuses.length === 1)

    await Promise.all([once(socket, 'disconnect'), node.setOnline(false)])
    expect(node.whyNotReady()).to.equal('The node is switched offline.')
    await node.setOnline(true)

    await until('it has reported again', () => statuses.length === 2)
    expect(loop.sockets).to.have.lengthOf(2)
    expect(node.whyNotReady()).to.equal(undefined)
  })

  it('keeps its connection when it is set online twice', async () => {
    const node = await start()
    await until('it has reported', () => statuses.length === 1)

    await node.setOnline(true)
    await node.setOnline(true)

    expect(node.isConnected()).to.equal(true)
    expect(loop.sockets).to.have.lengthOf(1)
  })

  it('remembers that it was set offline before it was started', async () => {
    const node = create()
    await node.setOnline(false)
    await node.start({ signal: new AbortController().signal })
    await sleep(100)
    expect(loop.sockets).to.have.lengthOf(0)

    await node.setOnline(true)

    await until('it has reported', () => statuses.length === 1)
  })

  for (const wishes of [
    [false, true],
    [false, true, false],
    [true, false, true, false, true],
    [false, false, true, true],
  ]) {
    it(`ends in the last state when it is switched ${wishes.map((on) => (on ? 'on' : 'off')).join(', ')} in one moment`, async () => {
      const node = await start()
      await loop.connection(1)

      await Promise.all(wishes.map((online) => node.setOnline(online)))

      const last = wishes.at(-1) === true
      await until('it is as wished', () => node.isConnected() === last)
      await until('and the Loop sees it', () => loop.io.engine.clientsCount === (last ? 1 : 0))
    })
  }

  it('sends no heartbeat while it is muted, and heartbeats when it is set online', async () => {
    const node = await start({ muted: true, heartbeatMs: 20 })
    await until('it has reported on connect', () => statuses.length === 1)
    await sleep(100)
    expect(statuses).to.have.lengthOf(1)
    node.sendStatus('change')
    await until('the change has come', () => statuses.length === 2)

    await node.setOnline(true)

    await until('heartbeats come', () => statuses.length > 4)
  })

  it('waits for a connection while it is offline, and gives up with the signal or its end', async () => {
    const node = await start()
    await node.setOnline(false)
    const controller = new AbortController()
    const given = rejection(node.whenConnected({ signal: controller.signal }))
    const waiting = node.whenConnected()

    controller.abort(new Error('not wanted any more'))
    expect(await given).to.include({ message: 'not wanted any more' })
    expect(await rejection(node.whenConnected({ signal: controller.signal }))).to.include({
      message: 'not wanted any more',
    })
    await node.setOnline(true)
    await waiting
    await node.setOnline(false)
    const last = rejection(node.whenConnected())
    await node.stop()
    expect(await last).to.include({ code: 'LF_SERVICE_STOPPED' })
  })

  it('reconnects at most once per heartbeat when every status is refused', async () => {
    answer = () => no
    await start({ heartbeatMs: 200, reconnectsWhenRefused: true })
    const startedAt = performance.now()
    await loop.connection(4)

    expect(performance.now() - startedAt).to.be.at.least(400)
  })

  it('keeps its connection when a status is refused, unless it is to reconnect', async () => {
    answer = () => no
    await start({ heartbeatMs: 20 })

    await until('it was refused several times', () => statuses.length > 5)

    expect(loop.sockets).to.have.lengthOf(1)
  })

  it('reconnects when a status is not answered', async () => {
    answer = () => undefined
    await start({ heartbeatMs: 100, reconnectsWhenRefused: true })

    await loop.connection(2)
  })

  it('logs an outage once, and its end', async () => {
    answer = () => no
    await start({ heartbeatMs: 20 })
    await until('it was refused several times', () => statuses.length > 5)
    answer = () => yes
    await until('it was accepted', () => said('report to the Loop accepted again').length > 0)
    await sleep(100)

    expect(said('report to the Loop failed')).to.have.lengthOf(1)
    expect(said('report to the Loop accepted again')).to.have.lengthOf(1)
  })

  it('is over when the Loop asks it to restart, also over its second socket', async () => {
    const node = await start()
    await loop.connection(1)
    await node.setOnline(false)
    await node.setOnline(true)

    const socket = await loop.connection(2)
    socket.emit('restart')

    expect(await node.over).to.equal('asked by the Loop')
  })

  it('does not wait for an answer of the Loop when it stops', async () => {
    answer = () => undefined
    const node = await start()
    await until('it has reported', () => statuses.length === 1)
    const startedAt = performance.now()

    await node.stop()

    expect(performance.now() - startedAt).to.be.below(900)
    expect(node.whyNotReady()).to.equal('The node is stopping.')
  })

  describe('with a fleet', () => {
    let redis: RedisFixture
    before(async () => {
      redis = await startRedisFixture()
    })
    after(() => redis.close())
    beforeEach(() => redis.link.client.flushall())

    function createIn(fleet: Fleet, { owner = 'here', open }: { owner?: string; open?: NodeRole['open'] } = {}) {
      const role: NodeRole = { announcement: () => ({ type: 'trainer', trainer: 'quick' }), ...(open && { open }) }
      return createLoopNode({ identity: IDENTITY, owner }, role, { fleet, log: silentLogger() })
    }
    const never = new AbortController().signal

    it('is announced before it opens anything, and withdrawn when all is closed', async () => {
      const fleet = createFleet(redis.link)
      const seen: number[] = []
      const look = async () => void seen.push((await fleet.nodes()).length)
      const open: NodeRole['open'] = async (_signal, opened) => {
        await look()
        opened.add('what it needs', look)
      }
      const node = createIn(fleet, { open })

      await look()
      await node.start({ signal: never })
      await node.stop()
      await look()

      expect(seen).to.deep.equal([0, 1, 1, 0])
    })

    it('is not withdrawn by a node that was refused its identity', async () => {
      const fleet = createFleet(redis.link)
      const first = createIn(fleet)
      const second = createIn(fleet, { owner: 'elsewhere' })
      await first.start({ signal: never })

      expect(await rejection(second.start({ signal: never }))).to.include({ code: 'LF_NAME_TAKEN' })
      await second.stop()

      expect((await fleet.nodes()).map(({ uuid, isAlive }) => ({ uuid, isAlive }))).to.deep.equal([
        { uuid: IDENTITY.uuid, isAlive: true },
      ])
      await first.stop()
    })
  })
})
