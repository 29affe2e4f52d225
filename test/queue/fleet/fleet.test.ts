import { expect } from 'chai'
import { createFleet, type Fleet } from '../../../src/queue/fleet/fleet.js'
import { raiseRedisReader } from '../../../src/queue/records/least-reader.js'
import { PROTOCOL } from '../../../src/queue/records/protocol.js'
import { rejection } from '../../helpers/rejection.js'
import { until } from '../../helpers/until.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'

const host = { hostId: 'lab-1', pid: 42, trainers: ['shapes'], places: 2 }
const node = { uuid: '85ef6a43', name: 'Trainer A', type: 'trainer' as const }

describe('the fleet', () => {
  let redis: RedisFixture
  let fleet: Fleet
  before(async () => {
    redis = await startRedisFixture()
    fleet = createFleet(redis.link)
  })
  after(() => redis.close())
  afterEach(() => redis.link.client.flushall())

  it('lists hosts and nodes with what they told', async () => {
    await fleet.announceHost(host, { ttlMs: 10_000 })
    await fleet.announceNode(node, { ttlMs: 10_000 })

    const [seen] = await fleet.hosts()
    expect(seen).to.deep.include({ ...host, isAlive: true, isDraining: false })
    expect((await fleet.nodes())[0]).to.deep.include({ ...node, isAlive: true })
  })

  it('lists hosts and nodes by name, and numbers in names by their value', async () => {
    for (const hostId of ['gpu-10', 'gpu-2', 'cpu-1']) await fleet.announceHost({ ...host, hostId }, { ttlMs: 10_000 })
    for (const [uuid, name] of [
      ['a', 'yolo 10'],
      ['b', 'yolo 2'],
      ['c', 'yolo'],
    ] as const) {
      await fleet.announceNode({ ...node, uuid, name }, { ttlMs: 10_000 })
    }

    expect((await fleet.hosts()).map(({ hostId }) => hostId)).to.deep.equal(['cpu-1', 'gpu-2', 'gpu-10'])
    expect((await fleet.nodes()).map(({ name }) => name)).to.deep.equal(['yolo', 'yolo 2', 'yolo 10'])
  })

  it('shows a host as lost when its heartbeat is missing', async () => {
    await fleet.announceHost({ ...host, trainings: ['t1'], free: 1 }, { ttlMs: 30 })

    await until('the host counts as lost', async () => (await fleet.hosts())[0]?.isAlive === false)
    expect((await fleet.hosts())[0], 'what it had').to.deep.include({ ...host, trainings: [], free: 0 })
  })

  it('forgets who takes leave', async () => {
    await fleet.announceHost(host, { ttlMs: 10_000 })
    await fleet.announceNode(node, { ttlMs: 10_000 })

    await fleet.withdrawHost(host.hostId)
    await fleet.withdrawNode(node.uuid)

    expect(await fleet.hosts()).to.deep.equal([])
    expect(await fleet.nodes()).to.deep.equal([])
  })

  it('refuses a part beside living ones without a protocol number, and only beside those', async () => {
    const old = { ...host, hostId: 'old', protocol: undefined }
    await fleet.announceHost(host, { ttlMs: 10_000 })
    await createFleet(redis.link, { protocol: PROTOCOL + 1 }).announceNode(node, { ttlMs: 10_000 })
    await fleet.checkParts('new')
    expect((await fleet.hosts()).map(({ protocol }) => protocol)).to.deep.equal([PROTOCOL])

    await fleet.announceHost(old, { ttlMs: 10_000 })
    await fleet.announceNode({ ...node, uuid: 'u2', name: 'Old node', protocol: undefined }, { ttlMs: 10_000 })
    const error = await rejection(fleet.checkParts('new'))
    expect(error).to.include({ code: 'LF_FLEET_TOO_OLD' })
    expect(error.message).to.contain('host old').and.to.contain('trainer node Old node')

    await fleet.withdrawNode('u2')
    await fleet.checkParts('old') // what it was before an update of its own does not count
    await fleet.announceHost(old, { ttlMs: 20 })
    await until('it counts as lost', async () => (await fleet.hosts()).some(({ isAlive }) => !isAlive))
    await fleet.checkParts('new')
  })

  it('refuses a part that may not read what is in Redis any more', async () => {
    await raiseRedisReader(redis.link, PROTOCOL + 1)

    expect(await rejection(fleet.checkParts('new'))).to.include({ code: 'LF_DATA_TOO_NEW' })
    await createFleet(redis.link, { protocol: PROTOCOL + 1 }).checkParts('new')
  })

  it('refuses a second node with the uuid of a living one, naming that', async () => {
    await fleet.announceNode(node, { ttlMs: 10_000, owner: 'machine-1:/data' })
    await fleet.announceNode(node, { ttlMs: 10_000, owner: 'machine-1:/data' })

    const error = await rejection(fleet.announceNode(node, { ttlMs: 10_000, owner: 'machine-2:/data' }))

    expect(error).to.include({ code: 'LF_NAME_TAKEN' })
    expect(error.message).to.contain('machine-1:/data')
  })

  it('lets a node take the place of one that is gone', async () => {
    await fleet.announceNode(node, { ttlMs: 20, owner: 'machine-1:/data' })
    await until('it counts as lost', async () => (await fleet.nodes())[0]?.isAlive === false)

    await fleet.announceNode(node, { ttlMs: 10_000, owner: 'machine-2:/data' })
  })

  it('remembers which hosts are to be drained', async () => {
    await fleet.announceHost(host, { ttlMs: 10_000 })
    await fleet.setDraining('lab-1', true)

    expect(await fleet.isDraining('lab-1')).to.equal(true)
    expect((await fleet.hosts())[0]).to.include({ isDraining: true })
    await fleet.setDraining('lab-1', false)
    expect(await fleet.isDraining('lab-1')).to.equal(false)
  })

  it('passes over what it cannot read', async () => {
    await redis.link.client.hset('{loopfleet}:hosts', {
      a: 'garbage',
      b: '{}',
      c: `${Date.now()}{"hostId":1}`,
      '': '1',
    })

    expect(await fleet.hosts()).to.deep.equal([])
  })
})
