import process from 'node:process'
import type { Closers } from '../../base/closers.js'
import { every } from '../../base/every.js'
import type { Logger } from '../../base/logger.js'
import { createService, type Service } from '../../base/service.js'
import type { LoopSocket } from '../../loop/client/socket.js'
import type { Dialect } from '../../loop/protocol/index.js'
import type { Control } from '../../queue/control.js'
import type { Fleet } from '../../queue/fleet.js'
import type { Journal } from '../../queue/journal.js'
import type { Queues } from '../../queue/queues.js'
import type { NodeIdentity } from '../identity.js'
import { createNodeLife } from './node-life.js'
import type { TrainerProfile } from './profile.js'
import { createSeat, type Seat } from './seat.js'

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
  /** `over` resolves when all seats were idle for so long. */
  readonly idleTimeoutMs?: number
}

export type TrainerNodeDeps = {
  /** One socket per seat, since the Loop's events carry no trainer id. */
  readonly createSocket: () => LoopSocket
  readonly queues: Queues
  readonly journal: Journal
  readonly control: Control
  readonly fleet: Fleet
  readonly log: Logger
  readonly now: () => number
}

const HEARTBEAT_MS = 5000

/** A trainer node; `setOnline(false)` keeps all its seats away from the Loop. */
export type TrainerNode = Service & {
  setOnline(online: boolean): Promise<void>
  /** All seats tell the Loop their status now. */
  tellStatus(): void
  /** Aborts the trainings of all seats. */
  reset(): Promise<void>
  /** Resolves with the reason when the node has done what it was started for; only if the options ask for that. */
  readonly over: Promise<string>
}

/** A trainer node: its seats, the watch on the journal that keeps the Loop up to date, and its place in the fleet. */
export function createTrainerNode(options: TrainerNodeOptions, deps: TrainerNodeDeps): TrainerNode {
  const log = deps.log.child({ component: 'trainer-node', trainer: options.profile.name })
  const life = createNodeLife(options, { log })
  const announced = new Set<string>()
  let seats: Seat[] = []

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    closers.add('log', () => log.info('trainer node stopped'))
    closers.add('announcements', withdraw)
    seats = options.identities.map((identity) => {
      const onLook = life.watchSeat()
      return createSeat({ ...options, identity }, { ...deps, log, onLook })
    })
    closers.add('seats', () => Promise.all(seats.map((seat) => seat.stop())))
    closers.add('life', () => life.close())
    await announce()
    every(HEARTBEAT_MS, announceSafely, closers, 'heartbeat')
    const watch = await deps.journal.watch((id) => {
      for (const seat of seats) seat.trainingChanged(id)
    })
    closers.add('journal', () => watch.close())
    await Promise.all(seats.map((seat) => seat.start({ signal })))
    log.info({ seats: options.identities.map((identity) => identity.name) }, 'trainer node started')
  }

  async function announce(): Promise<void> {
    for (const [index, { uuid, name }] of options.identities.entries()) {
      const shared = { type: 'trainer' as const, trainer: options.profile.name, pid: process.pid }
      const node = { uuid, name, ...shared, errors: [...(seats[index]?.errors ?? [])] }
      await deps.fleet.announceNode(node, { ttlMs: 3 * HEARTBEAT_MS, owner: options.owner })
      announced.add(uuid)
    }
  }

  async function announceSafely(): Promise<void> {
    await announce().catch((error: unknown) => log.warn({ err: error }, 'heartbeat not written'))
  }

  /** Only our own: a uuid that was refused to us belongs to a living node. */
  async function withdraw(): Promise<void> {
    for (const uuid of announced) await deps.fleet.withdrawNode(uuid)
  }

  return {
    ...createService(`trainer node ${options.profile.name}`, open, { log }),
    over: life.over,
    tellStatus() {
      for (const seat of seats) seat.tellStatus()
    },
    async reset() {
      await Promise.all(seats.map((seat) => seat.reset()))
    },
    async setOnline(online) {
      await Promise.all(seats.map((seat) => seat.setOnline(online)))
    },
  }
}
