import { type Closers, createService, every, type Service } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { LoopSocket } from '../../loop/client/socket/index.js'
import type { Dialect } from '../../loop/protocol/index.js'
import type { Fleet, Queues, TrainingControl, Trainings, TrainingsOfFleet } from '../../queue/index.js'
import { untilAborted } from '../../queue/redis/index.js'
import type { NodeIdentity } from '../index.js'
import { createNodeLife } from './node-life.js'
import type { TrainerProfile } from './profile.js'
import { createSeat } from './seat.js'

export type TrainerNodeOptions = {
  readonly identities: readonly NodeIdentity[]
  /** Machine and data folder: another owner of the same uuid is refused, a restart of this one is not. */
  readonly owner?: string
  readonly profile: TrainerProfile
  readonly dialect: Dialect
  readonly heartbeatMs?: number
  readonly statusAckMs?: number
  /** No status every few seconds until the node is set online (SKIP_REPEAT_ON_START). */
  readonly muted?: boolean
  /** `over` resolves when a training has ended and no seat has another one. */
  readonly restartAfterTraining?: boolean
  /** `over` resolves when all seats were idle for this time. */
  readonly idleTimeoutMs?: number
}

export type TrainerNodeDeps = {
  /** One socket per seat, since the Loop's events carry no trainer id. */
  readonly createSocket: () => LoopSocket
  readonly queues: Queues
  readonly trainings: TrainingsOfFleet & TrainingControl & Pick<Trainings, 'migrate' | 'returnSilent'>
  readonly fleet: Fleet
  readonly log: Logger
  readonly now: () => number
}

const RETURN_EVERY_MS = 5_000

/** A trainer node; `setOnline(false)` disconnects all its seats from the Loop. */
export type TrainerNode = Service & {
  setOnline(online: boolean): Promise<void>
  /** All seats send their status to the Loop. */
  sendStatus(): void
  /** Aborts the trainings of all seats. */
  reset(): Promise<void>
  /** Resolves when all seats are connected to the Loop. */
  whenConnected(options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Why a seat cannot take orders now, or undefined. */
  whyNotReady(): string | undefined
  /** Resolves with the reason when the Loop asks for a restart, or after `restartAfterTraining` or `idleTimeoutMs`. */
  readonly over: Promise<string>
}

/** A trainer node: its seats, and a watch on the trainings by which they send each change to the Loop. */
export function createTrainerNode(options: TrainerNodeOptions, deps: TrainerNodeDeps): TrainerNode {
  const log = deps.log.child({ component: 'trainer-node', trainer: options.profile.name })
  const life = createNodeLife(options, { log })
  const seats = options.identities.map((identity) => {
    const onReport = life.watchSeat()
    return createSeat({ ...options, identity }, { ...deps, log, onReport })
  })

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    closers.add('log', () => log.info('trainer node stopped'))
    closers.add('life', () => life.close()) // after the seats, which report to it until they have stopped
    closers.add('seats', () => Promise.all(seats.map((seat) => seat.stop())))
    await migrate()
    const watch = await deps.trainings.watch((id) => {
      for (const seat of seats) seat.trainingChanged(id)
    })
    closers.add('trainings', () => watch.close())
    await Promise.all(seats.map((seat) => seat.start({ signal })))
    every(RETURN_EVERY_MS, returnSilent, closers, 'silent hosts')
    log.info({ seats: options.identities.map((identity) => identity.name) }, 'trainer node started')
  }

  // Hosts return each other's expired records; the node does it in case all hosts are dead.
  async function returnSilent(over: AbortSignal): Promise<void> {
    await untilAborted(deps.trainings.returnSilent(), over).catch((error: unknown) => {
      if (!over.aborted) log.debug({ err: error }, 'records of silent hosts not returned')
    })
  }

  // Not left to a host, which may start later: the seats must know their trainings.
  async function migrate(): Promise<void> {
    await deps.fleet.checkParts(options.identities[0]?.uuid ?? '')
    await deps.trainings.migrate(deps.queues)
  }

  return {
    ...createService(`trainer node ${options.profile.name}`, open, { log }),
    over: Promise.race([life.over, ...seats.map((seat) => seat.over)]),
    sendStatus() {
      for (const seat of seats) seat.sendStatus()
    },
    async reset() {
      await Promise.all(seats.map((seat) => seat.reset()))
    },
    async whenConnected(waiting) {
      await Promise.all(seats.map((seat) => seat.whenConnected(waiting)))
    },
    whyNotReady: () => seats.map((seat) => seat.whyNotReady()).find((reason) => reason !== undefined),
    async setOnline(online) {
      await Promise.all(seats.map((seat) => seat.setOnline(online)))
    },
  }
}
