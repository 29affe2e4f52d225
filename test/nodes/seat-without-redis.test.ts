import process from 'node:process'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { answerSchema } from '../../src/loop/protocol/index.js'
import type { RedisFixture } from '../queue/redis-fixture.js'
import { ORGANIZATION, PROJECT, UUID_A, UUID_B, useSeats } from './seats-fixture.js'

type Outage = readonly [
  why: string,
  begin: (redis: RedisFixture) => Promise<unknown>,
  end: (redis: RedisFixture) => Promise<unknown>,
]

const OUTAGES: readonly Outage[] = [
  ['it withholds them', operator('CLIENT', 'PAUSE', '600000', 'WRITE'), operator('CLIENT', 'UNPAUSE')],
  ['it is a replica', operator('REPLICAOF', '127.0.0.1', '1'), operator('REPLICAOF', 'NO', 'ONE')],
  [
    'it hangs',
    async ({ server }) => process.kill(server.pid, 'SIGSTOP'),
    async ({ server }) => process.kill(server.pid, 'SIGCONT'),
  ],
]

describe('a seat while Redis carries no writes out, since', function () {
  this.timeout(60_000)

  const seats = useSeats()

  for (const [why, begin, end] of OUTAGES) {
    it(`${why}, refuses order, stop and abort within seconds, and does not obey later`, async () => {
      const { trainings } = seats.kept
      await seats.startNode({ seats: 2 })
      const { number } = await seats.order({ trainer: UUID_A })
      const before = await trainings.unfinishedOfSeat(UUID_A)
      await begin(seats.redis)
      const askedAt = performance.now()

      const answers = await Promise.all([
        seats.order({ trainer: UUID_B }),
        seats.loop.stopTraining(ORGANIZATION, PROJECT, number),
        seats.loop.abortTraining(ORGANIZATION, PROJECT, number),
      ]).finally(() => end(seats.redis))
      const seconds = (performance.now() - askedAt) / 1000
      await seats.redis.link.client.set('behind', '1')

      for (const answer of answers) {
        const { success, error_msg } = answerSchema.parse(answer.ack)
        expect(success).to.equal(false)
        expect(error_msg).to.match(/Redis at .* (takes no writes|cannot be used)/)
      }
      expect(seconds).to.be.below(5)
      expect(await trainings.count()).to.equal(1)
      expect(before).to.include({ outcome: null })
      expect(await trainings.unfinishedOfSeat(UUID_A)).to.deep.equal(before)
      expect((await seats.order({ trainer: UUID_B })).ack).to.include({ success: true })
    })
  }
})

/** A command over a connection of its own. */
function operator(...[name = '', ...args]: string[]): (redis: RedisFixture) => Promise<unknown> {
  return async ({ server }) => {
    const client = new Redis(server.url.replace('unix://', ''))
    return await client.call(name, ...args).finally(() => client.disconnect())
  }
}
