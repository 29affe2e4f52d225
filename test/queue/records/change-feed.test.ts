import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { type ChangeFeed, createChangeFeed } from '../../../src/queue/records/change-feed.js'
import { createLeases } from '../../../src/queue/records/leases.js'
import { createRecords, type Records } from '../../../src/queue/records/records.js'
import { openRedis, type RedisLink } from '../../../src/queue/redis/open-redis.js'
import { until } from '../../helpers/until.js'
import { type OwnRedis, startOwnRedis } from '../own-redis.js'
import { claimAs, createSample, hostA, type SamplePayload, sampleTraining } from './sample-records.js'

const log = silentLogger()
/** XADD trims whole nodes of a hundred entries. */
const KEPT = 100

type FeedItem = ReturnType<ChangeFeed['follow']> extends AsyncGenerator<infer Item> ? Item : never

describe('the changes of records', () => {
  let folder: string
  let redis: OwnRedis
  let link: RedisLink
  let records: Records<SamplePayload>
  let feed: ChangeFeed
  const ends: AbortController[] = []

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-changes-'))
    redis = await startOwnRedis(folder, '--appendonly', 'no')
    link = await openRedis(redis.url, { log })
    records = createRecords(link, sampleTraining, { keepChanges: KEPT })
    feed = createChangeFeed(link, { maxBehind: 200 }, { log })
    await feed.start({ signal: new AbortController().signal })
  })
  afterEach(async () => {
    for (const end of ends.splice(0)) end.abort()
    await feed.stop()
    await link.close()
    await redis.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** Follows in the background and keeps what comes. */
  function follow(
    cursor?: string,
    by: ChangeFeed = feed,
  ): { readonly items: FeedItem[]; readonly texts: () => string[] } {
    const end = new AbortController()
    ends.push(end)
    const items: FeedItem[] = []
    const read = async () => {
      for await (const item of by.follow(cursor, end.signal)) items.push(item)
    }
    void read()
    return { items, texts: () => items.map(toText) }
  }

  const toText = (item: FeedItem) =>
    item.snapshot ? 'snapshot' : `${item.change.id} ${item.change.version} ${item.change.what}`
  const lastCursor = (items: readonly FeedItem[]) => items.at(-1)?.cursor
  const comes = (what: string, seen: { texts: () => string[] }) => until(what, () => seen.texts().includes(what))

  it('begin with a snapshot, and then come in order, one for each write', async () => {
    await createSample(records, 't0')
    const seen = follow()
    await comes('snapshot', seen)

    await createSample(records, 't1')
    const claim = await claimAs(records, 't1', hostA)
    await records.update(claim, { progress: 0.5 })
    await records.update(claim, { progress: 0.5 })
    await createLeases(link, hostA).renew([claim])
    await records.intend('t1', 'stop', 'loop')
    await records.finish(claim, 'completed')
    await records.remove({ id: 't1' })

    await comes('t1 6 removed', seen)
    expect(seen.texts()).to.deep.equal([
      'snapshot',
      't1 1 created',
      't1 2 claimed',
      't1 3 updated',
      't1 4 intent',
      't1 5 ended',
      't1 6 removed',
    ])
  })

  it('go on behind a cursor, without a gap, also in another process', async () => {
    const seen = follow()
    await comes('snapshot', seen)
    await createSample(records, 't1')
    await comes('t1 1 created', seen)
    for (const id of ['t2', 't3']) await createSample(records, id)

    const another = await openRedis(redis.url, { log })
    const theirs = createChangeFeed(another, {}, { log })
    await theirs.start({ signal: new AbortController().signal })
    const cursor = seen.items.find((item) => toText(item) === 't1 1 created')?.cursor
    const later = follow(cursor, theirs)
    await createSample(records, 't4')

    await comes('t4 1 created', later)
    expect(later.texts()).to.deep.equal(['t2 1 created', 't3 1 created', 't4 1 created'])
    await theirs.stop()
    await another.close()
  })

  it('go on from a stream that was empty', async () => {
    const first = follow()
    await comes('snapshot', first)
    const cursor = lastCursor(first.items)
    await createSample(records, 't1')

    const second = follow(cursor)

    await comes('t1 1 created', second)
    expect(second.texts()).to.deep.equal(['t1 1 created'])
  })

  it('begin with a snapshot for a cursor that was trimmed, of another Redis, or no cursor', async () => {
    const first = follow()
    await comes('snapshot', first)
    const start = lastCursor(first.items)
    await createSample(records, 't1')
    await comes('t1 1 created', first)
    const trimmed = lastCursor(first.items)
    for (let index = 0; index < 3 * KEPT; index++) await createSample(records, `u${index}`)

    for (const cursor of [start, trimmed, '1-1/1', '9999999999999-0/7', 'nonsense', ''])
      await comes('snapshot', follow(cursor))
  })

  it('come to many followers over one connection', async () => {
    const count = async () => Number(/connected_clients:(\d+)/.exec(await link.client.info('clients'))?.[1])
    const first = follow()
    await comes('snapshot', first)
    await createSample(records, 't0')
    await comes('t0 1 created', first)
    const before = await count()
    const all = Array.from({ length: 20 }, () => follow())
    for (const seen of all) await comes('snapshot', seen)

    await createSample(records, 't1')

    for (const seen of all) await comes('t1 1 created', seen)
    expect(await count()).to.be.at.most(before)
  })

  it('become a snapshot for a follower that is too far behind, and go on after it', async () => {
    const end = new AbortController()
    ends.push(end)
    const slow = feed.follow(undefined, end.signal)
    expect(toText((await slow.next()).value as FeedItem)).to.equal('snapshot')
    const fast = follow()
    await comes('snapshot', fast)
    for (let index = 0; index < 250; index++) await createSample(records, `t${index}`)
    await comes('t249 1 created', fast)

    const rest: string[] = []
    while (rest.at(-1) !== 't249 1 created') rest.push(toText((await slow.next()).value as FeedItem))

    expect(rest[0]).to.equal('snapshot')
    expect(rest.filter((text) => text === 'snapshot')).to.have.lengthOf(1)
  })

  it('begin again with a snapshot when Redis came back with less than was read', async () => {
    await createSample(records, 't1')
    const seen = follow()
    await comes('snapshot', seen)
    await redis.call('SAVE')
    await createSample(records, 't2')
    await comes('t2 1 created', seen)

    await redis.kill()
    await redis.start()

    await until('a second snapshot', () => seen.texts().filter((text) => text === 'snapshot').length === 2)
    await createSample(records, 't3')
    await comes('t3 1 created', seen)
    expect(seen.texts()).to.deep.equal(['snapshot', 't2 1 created', 'snapshot', 't3 1 created'])
  })

  it('begin again with a snapshot when Redis came back empty', async () => {
    await createSample(records, 't1')
    const seen = follow()
    await comes('snapshot', seen)
    const cursor = lastCursor(seen.items)

    await redis.kill()
    await redis.start(join(folder, 'empty'))
    await createSample(records, 't1')

    await until('another snapshot', () => seen.texts().filter((text) => text === 'snapshot').length > 1)
    await comes('snapshot', follow(cursor))
  })

  it('go on without a snapshot when Redis was restarted and has lost nothing', async () => {
    const seen = follow()
    await comes('snapshot', seen)
    await createSample(records, 't1')
    await comes('t1 1 created', seen)
    await redis.call('SAVE')

    await redis.kill()
    await redis.start()
    await createSample(records, 't2')

    await comes('t2 1 created', seen)
    expect(seen.texts()).to.deep.equal(['snapshot', 't1 1 created', 't2 1 created'])
  })

  it('end for a follower with its signal, and for all with the feed, also while Redis is stopped', async () => {
    const end = new AbortController()
    const one = feed.follow(undefined, end.signal)
    await one.next()
    const waiting = one.next()
    end.abort()
    expect((await waiting).done).to.equal(true)

    const other = feed.follow(undefined, new AbortController().signal)
    await other.next()
    redis.signal('SIGSTOP')
    const last = other.next()
    await feed.stop()
    redis.signal('SIGCONT')

    expect((await last).done).to.equal(true)
  })
})
