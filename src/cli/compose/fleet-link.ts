import type { Closers } from '../../base/closers.js'
import { InvalidInputError } from '../../base/errors.js'
import type { Environment } from '../../config/variables.js'
import { type Backdoor, createBackdoor } from '../../queue/backdoor.js'
import { leaveWhenUnusable } from '../../queue/close-or-leave.js'
import { createControl } from '../../queue/control.js'
import { type Conversions, createConversions } from '../../queue/conversions.js'
import { createFleet, type Fleet } from '../../queue/fleet.js'
import { createJournal } from '../../queue/journal.js'
import { type OpenRedisOptions, openRedis, type RedisLink } from '../../queue/open-redis.js'
import { createQueueTraining, type QueueTraining } from '../../queue/queue-training.js'
import { createQueues, type Queues } from '../../queue/queues.js'
import { createTrainings, type TrainingControl, type TrainingsOfFleet } from '../../queue/trainings/trainings.js'
import type { TrainingEngine } from '../../workers/worker-options.js'
import type { CliContext } from '../context.js'

/** Everything of the fleet that lives in Redis. */
export type FleetLink = {
  readonly link: RedisLink
  readonly queues: Queues
  /** The trainings, whichever engine works on them. */
  readonly journal: TrainingsOfFleet
  readonly control: TrainingControl
  /** Of the engine of jobs. */
  readonly queueTraining?: QueueTraining
  readonly engine: TrainingEngine
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
  const shared = { link, queues, conversions, fleet: createFleet(link), backdoor: createBackdoor(link) }
  return { ...shared, ...openTrainings(environment.LOOPFLEET_ENGINE, { link, queues, log }) }
}

function openTrainings(
  kind: Environment['LOOPFLEET_ENGINE'],
  { link, queues, log }: Pick<FleetLink, 'link' | 'queues'> & Pick<CliContext, 'log'>,
): Pick<FleetLink, 'journal' | 'control' | 'queueTraining' | 'engine'> {
  if (kind === 'records') {
    const trainings = createTrainings(link, {}, { log })
    return { journal: trainings, control: trainings, engine: { kind, trainings } }
  }
  const journal = createJournal(link)
  const control = createControl(link, journal, queues)
  return { journal, control, queueTraining: createQueueTraining(queues), engine: { kind, journal, control } }
}

/** Why what needs Redis cannot work now, or undefined. */
export function whyNoRedis({ link }: Pick<FleetLink, 'link'>): string | undefined {
  return link.problem()
}
