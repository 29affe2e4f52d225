import type { Closers } from '../../base/closers.js'
import { InvalidInputError } from '../../base/errors.js'
import { type Conversions, createConversions } from '../../queue/conversions/conversions.js'
import { createFleet, type Fleet } from '../../queue/fleet/fleet.js'
import { createQueues, type Queues } from '../../queue/jobs/queues.js'
import { type Backdoor, createBackdoor } from '../../queue/redis/backdoor.js'
import { leaveWhenUnusable } from '../../queue/redis/close-or-leave.js'
import { type OpenRedisOptions, openRedis, type RedisLink } from '../../queue/redis/open-redis.js'
import { createTrainings, type Trainings } from '../../queue/trainings/trainings.js'
import type { CliContext } from '../context.js'

/** Everything of the fleet that lives in Redis. */
export type FleetLink = {
  readonly link: RedisLink
  readonly queues: Queues
  readonly trainings: Trainings
  readonly conversions: Conversions
  readonly fleet: Fleet
  /** For tests only. */
  readonly backdoor: Backdoor
}

/** Connects to the fleet's Redis; throws LF_INVALID_INPUT when nobody said where it is. */
export async function openFleetLink(
  { environment, log, signal }: CliContext,
  closers: Closers,
  options: OpenRedisOptions = {},
): Promise<FleetLink> {
  const url = environment.REDIS_URL
  if (url === undefined) {
    throw new InvalidInputError(
      'There is no Redis to work with: set REDIS_URL, or start everything on this machine with `loopfleet up`.',
    )
  }
  const link = await openRedis(url, { log }, { signal, ...options })
  closers.add('redis', () => link.close())
  leaveWhenUnusable(link, { ending: signal })
  const queues = createQueues(link, { log })
  closers.add('queues', () => queues.close())
  const conversions = createConversions(link, {}, { log })
  const trainings = createTrainings(link, {}, { log })
  return { link, queues, trainings, conversions, fleet: createFleet(link), backdoor: createBackdoor(link) }
}

/** Why what needs Redis cannot work now, or undefined. */
export function whyNoRedis({ link }: Pick<FleetLink, 'link'>): string | undefined {
  return link.problem()
}
