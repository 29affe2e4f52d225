import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createLeases } from '../../../src/queue/records/leases.js'
import {
  checkFolderReader,
  checkRedisReader,
  raiseFolderReader,
  raiseRedisReader,
} from '../../../src/queue/records/least-reader.js'
import { checkAnnounced, PROTOCOL } from '../../../src/queue/records/protocol.js'
import { createRecords, type Records } from '../../../src/queue/records/records.js'
import { rejection } from '../../helpers/rejection.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import {
  claimAs,
  createSample,
  endLease,
  hostA,
  hostB,
  type SamplePayload,
  samplePayload,
  sampleTraining,
  tryClaim,
} from './sample-records.js'

const NEXT = PROTOCOL + 1

describe('this version beside the next one', () => {
  let redis: RedisFixture
  let older: Records<SamplePayload>
  let newer: Records<SamplePayload>
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    older = createRecords(redis.link, sampleTraining)
    newer = createRecords(redis.link, sampleTraining, { protocol: NEXT })
    await createSample(older, 'old1')
    await newer.create({ id: 'new1', name: 'yolo', payload: samplePayload })
  })

  it('does not read what the next one has written, and says so', async () => {
    expect(await rejection(older.load('new1'))).to.include({ code: 'LF_RECORD_TOO_NEW' })

    const { records, unreadable } = await older.list()
    expect(records.map(({ id }) => id)).to.deep.equal(['old1'])
    expect(unreadable.map(({ id }) => id)).to.deep.equal(['new1'])
  })

  it('is not offered and not given a newer record; the next one is given both', async () => {
    expect((await older.waiting(['yolo'])).records.map(({ id }) => id)).to.deep.equal(['old1'])
    expect(await older.claim({ id: 'new1', version: 1 }, hostA)).to.deep.equal({ outcome: 'too-new', protocol: NEXT })

    expect((await newer.waiting(['yolo'])).records.map(({ id }) => id)).to.have.members(['old1', 'new1'])
    for (const id of ['old1', 'new1'])
      expect(await tryClaim(newer, id, { ...hostB, protocol: NEXT })).to.include({ outcome: 'claimed' })
  })

  it('does not take over from the next one, which may have written more than it reads', async () => {
    await claimAs(newer, 'old1', { ...hostB, protocol: NEXT })
    await endLease(redis.link, 'old1')

    expect(await older.claim({ id: 'old1', version: 2 }, hostA)).to.deep.equal({ outcome: 'too-new', protocol: NEXT })
    expect(await createLeases(redis.link, hostA).returnExpired()).to.deep.equal(['old1'])
    expect((await older.waiting(['yolo'])).records).to.deep.equal([])
    expect(await tryClaim(newer, 'old1', { ...hostB, protocol: NEXT })).to.include({ outcome: 'claimed' })
  })

  it('may end what it cannot read: a stop, an abort and the index of ended ones need no payload', async () => {
    expect(await older.intend('new1', 'abort', 'cli', { endIfWaiting: 1 })).to.equal('ended')

    expect(await newer.load('new1')).to.include({ life: 'ended', outcome: 'aborted' })
  })

  it('does not start beside parts of a version without a protocol number', () => {
    checkAnnounced([])
    checkAnnounced([
      { name: 'a', protocol: PROTOCOL },
      { name: 'b', protocol: NEXT },
    ])

    expect(() =>
      checkAnnounced([{ name: 'a', protocol: PROTOCOL }, { name: 'host b', protocol: 1 }, { name: 'node c' }]),
    ).to.throw('host b, node c')
  })
})

describe('the least version that may read', () => {
  let redis: RedisFixture
  let folder: string
  before(async () => {
    redis = await startRedisFixture()
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-reader-'))
  })
  after(async () => {
    await redis.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('is kept in Redis, and is never lowered', async () => {
    await checkRedisReader(redis.link)
    await raiseRedisReader(redis.link, PROTOCOL)
    await checkRedisReader(redis.link)
    await raiseRedisReader(redis.link, NEXT)
    await raiseRedisReader(redis.link, PROTOCOL)

    expect(await rejection(checkRedisReader(redis.link))).to.include({ code: 'LF_DATA_TOO_NEW' })
    await checkRedisReader(redis.link, NEXT)
  })

  it('is kept in the data folder, and is never lowered', async () => {
    await checkFolderReader(folder)
    await raiseFolderReader(folder, NEXT)
    await raiseFolderReader(folder, PROTOCOL)

    expect(await rejection(checkFolderReader(folder))).to.include({ code: 'LF_DATA_TOO_NEW' })
    expect(JSON.parse(await readFile(join(folder, 'least-reader.json'), 'utf8'))).to.deep.equal({ protocol: NEXT })
    await checkFolderReader(folder, NEXT)
  })

  it('that cannot be read is not taken for none', async () => {
    await writeFile(join(folder, 'least-reader.json'), '{"protocol": "2"}')
    await redis.link.client.set('{loopfleet}:records:least-reader', 'two')

    expect(await rejection(checkFolderReader(folder))).to.include({ code: 'LF_FILE_INVALID' })
    expect(await rejection(checkRedisReader(redis.link))).to.be.an('error')
  })
})
