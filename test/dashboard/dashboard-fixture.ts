import { silentLogger } from '../../src/base/logger/logger.js'
import { createDashboard } from '../../src/dashboard/dashboard.js'
import type { TrainingOrder } from '../../src/loop/protocol/index.js'
import { type Conversions, createConversions } from '../../src/queue/conversions/conversions.js'
import { createFleet, type Fleet } from '../../src/queue/fleet/fleet.js'
import type { TrainingRecord } from '../../src/queue/trainings/training-record.js'
import { anOrder, seatA } from '../queue/orders.js'
import { type RedisFixture, startRedisFixture } from '../queue/redis-fixture.js'
import { type PlayedTrainings, playTrainings } from '../queue/trainings/kept.js'

/** A dashboard over a real Redis of its own. */
export type DashboardFixture = {
  readonly redis: RedisFixture
  readonly trainings: PlayedTrainings
  readonly conversions: Conversions
  readonly fleet: Fleet
  readonly url: string
  /** A training as a seat's order makes it. */
  order(change?: Partial<TrainingOrder>, seat?: { uuid: string; name: string }): Promise<TrainingRecord>
  /** A further dashboard of the same fleet; closed with the fixture. */
  another(options: { readonly token?: string; readonly host?: string; readonly ending?: AbortSignal }): Promise<string>
  close(): Promise<void>
}

export async function startDashboardFixture(
  options: { readonly ending?: AbortSignal } = {},
): Promise<DashboardFixture> {
  const redis = await startRedisFixture()
  const trainings = playTrainings(redis)
  const fleet = createFleet(redis.link)
  const conversions = createConversions(redis.link, {}, { log: silentLogger() })
  const closers: (() => Promise<void>)[] = []

  async function another(options: {
    readonly token?: string
    readonly host?: string
    readonly ending?: AbortSignal
  }): Promise<string> {
    const deps = { link: redis.link, queues: redis.queues, trainings, conversions, fleet, log: silentLogger() }
    const dashboard = createDashboard({ ...options, port: 0 }, deps)
    closers.push(() => dashboard.close())
    return await dashboard.listen()
  }

  return {
    redis,
    trainings,
    conversions,
    fleet,
    url: await another(options),
    another,
    async order(change = {}, seat = seatA) {
      const answer = await trainings.accept({ order: anOrder(change), trainer: 'shapes', seat })
      if (answer.outcome === 'refused') throw new Error(answer.reason)
      return answer.training
    },
    async close() {
      for (const close of closers) await close()
      await redis.close()
    },
  }
}
