import { type Closers, InvalidInputError } from '../../base/index.js'
import {
  type Conversions,
  createConversions,
  createFleet,
  createQueues,
  createTrainings,
  type Fleet,
  type Queues,
  type Trainings,
} from '../../queue/index.js'
import {
  type Backdoor,
  createBackdoor,
  leaveWhenUnusable,
  type OpenRedisOptions,
  openRedis,
  type RedisLink,
} from '../../queue/redis/index.js'
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
