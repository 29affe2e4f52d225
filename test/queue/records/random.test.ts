import { expect } from 'chai'
import { type Claim, type Claimant, createLeases } from '../../../src/queue/records/leases.js'
import { recordKeys } from '../../../src/queue/records/record-keys.js'
import { createRecords, type Records } from '../../../src/queue/records/records.js'
import { createRandom, upTo } from '../../helpers/random.js'
import { type RedisFixture, startRedisFixture } from '../redis-fixture.js'
import { createSample, endLease, jumpClock, type SamplePayload, sampleTraining, tryClaim } from './sample-records.js'

const STEPS = 250

/** What hosts, people and faults do in an order that nobody has thought of. */
describe('records under whatever happens', () => {
  let redis: RedisFixture
  let records: Records<SamplePayload>
  before(async () => {
    redis = await startRedisFixture()
  })
  after(() => redis.close())
  beforeEach(async () => {
    await redis.link.client.flushall()
    records = createRecords(redis.link, sampleTraining)
  })

  for (const seed of [1, 2, 3]) {
    it(`have one owner, true indexes and no gap in their changes (seed ${seed})`, async function () {
      this.timeout(60_000)
      const random = createRandom(seed)
      const pick = <T>(items: readonly T[]): T | undefined => items[upTo(items.length - 1, random)]
      const ids: string[] = []
      const claims: Claim[] = []
      const granted: string[] = []
      const lives = new Map([
        ['a', 1],
        ['b', 1],
        ['c', 1],
      ])
      const claimant = (host: string) => ({ host, incarnation: `${host}${lives.get(host)}`, leaseMs: 30_000 })
      const quietly = (work: Promise<unknown>) => work.catch(() => undefined)

      const renewAll = async (own: Claimant) => {
        const held = claims.filter(({ incarnation }) => incarnation === own.incarnation)
        await createLeases(redis.link, own).renew(held)
      }
      const claimAny = async () => {
        const answer = await tryClaim(records, pick(ids) ?? 'none', claimant(pick([...lives.keys()]) ?? 'a'))
        if (answer.outcome !== 'claimed') return
        granted.push(`${answer.claim.id} ${answer.claim.run} ${answer.claim.incarnation}`)
        claims.push(answer.claim)
      }

      const acts: readonly (() => Promise<unknown>)[] = [
        async () => {
          ids.push(`t${ids.length}`)
          await createSample(records, ids.at(-1) ?? '')
        },
        claimAny,
        claimAny,
        claimAny,
        () => renewAll(claimant(pick([...lives.keys()]) ?? 'a')),
        () => createLeases(redis.link, claimant('a')).returnExpired(),
        () => endLease(redis.link, pick(ids) ?? 'none'),
        () => jumpClock(redis.link, pick([-3_600_000, 20_000, 3_600_000]) ?? 0),
        async () => {
          await redis.link.client.hset(recordKeys(redis.link).clock, 'server', 'another') // as after a restart
          if (random() < 0.7) for (const host of lives.keys()) await renewAll(claimant(host))
        },
        async () => {
          const host = pick([...lives.keys()]) ?? 'a'
          lives.set(host, (lives.get(host) ?? 0) + 1)
          await createLeases(redis.link, claimant(host)).takeBack()
        },
        async () => {
          const claim = pick(claims)
          if (claim !== undefined)
            await quietly(records.update(claim, { progress: random() }, pick(['useful', 'best'])))
        },
        async () => {
          const claim = pick(claims)
          if (claim !== undefined) await quietly(records.release(claim, { pauseMs: pick([0, 1, 60_000]) ?? 0 }))
        },
        async () => {
          const claim = pick(claims)
          if (claim !== undefined && random() < 0.4) await quietly(records.finish(claim, 'completed'))
        },
        async () => {
          const id = pick(ids) ?? 'none'
          const version = (await records.load(id))?.version ?? 0
          if (random() < 0.3)
            await records.intend(id, pick(['stop', 'abort']) ?? 'stop', 'x', { endIfWaiting: version })
          else await records.reopen({ id, version })
        },
        async () => {
          if (random() < 0.2) await records.remove({ id: pick(ids) ?? 'none' })
        },
      ]

      for (let step = 0; step < STEPS; step++) {
        await pick(acts)?.()
        const problems = await findProblems(ids, claims)
        expect(problems, `after step ${step}`).to.deep.equal([])
      }

      const runs = [...new Set(granted)].map((text) => text.split(' ').slice(0, 2).join(' '))
      expect(new Set(runs).size, 'each run was given to one life of one host').to.equal(runs.length)
      expect(runs.length).to.be.above(10)
    })
  }

  async function findProblems(ids: readonly string[], claims: readonly Claim[]): Promise<readonly string[]> {
    const [indexes, owners, gaps] = await Promise.all([
      Promise.all(ids.map(findWrongIndexes)),
      Promise.all(claims.map(ownerOf)),
      findGaps(),
    ])
    const writers = [...new Set(owners.filter((owner) => owner !== undefined))]
    const ofOne = (id: string) => writers.filter((owner) => owner.startsWith(`${id} `))
    const doubles = ids.filter((id) => ofOne(id).length > 1).map((id) => `${id} is written by ${ofOne(id)}`)
    return [...indexes.flat(), ...doubles, ...gaps]
  }

  async function findWrongIndexes(id: string): Promise<readonly string[]> {
    const keys = recordKeys(redis.link)
    const { client } = redis.link
    const [life, outcome] = await client.hmget(keys.record(id), 'life', 'outcome')
    const isPaused = (await client.zscore(keys.paused('training', 'yolo'), id)) !== null
    const expected: readonly (readonly [string, boolean])[] = [
      [keys.waiting('training', 'yolo'), life === 'waiting' && !isPaused],
      [keys.paused('training', 'yolo'), life === 'waiting' && isPaused],
      ...['completed', 'aborted'].map((each) => [keys.endedAs('training', each), outcome === each] as const),
      [keys.leases, life === 'claimed'],
      [keys.open('training'), life === 'waiting' || life === 'claimed'],
      [keys.ended('training'), life === 'ended'],
      [keys.all('training'), life !== null],
      [keys.ids('training'), life !== null],
    ]
    const found = await Promise.all(expected.map(([index]) => client.zscore(index, id)))
    return expected.flatMap(([index, isIn], at) =>
      (found[at] !== null) === isIn ? [] : [`${id} is ${life}: ${index}`],
    )
  }

  /** Undefined if this claim may not write. */
  async function ownerOf(claim: Claim): Promise<string | undefined> {
    return await records.check(claim).then(
      () => `${claim.id} ${claim.run} ${claim.incarnation}`,
      () => undefined,
    )
  }

  async function findGaps(): Promise<readonly string[]> {
    const entries = await redis.link.client.xrange(recordKeys(redis.link).changes, '-', '+')
    const versions = new Map<string, number>()
    return entries.flatMap(([, fields], index) => {
      const [, n, , id = '', , , , version] = fields
      const before = versions.get(id) ?? 0
      versions.set(id, Number(version))
      const isNext = Number(n) === index + 1 && Number(version) === before + 1
      return isNext ? [] : [`change ${n} of ${id}: version ${version} after ${before}`]
    })
  }
})
