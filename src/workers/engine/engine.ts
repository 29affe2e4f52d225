import { randomUUID } from 'node:crypto'
import { type Closers, createService, type Service } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import {
  type ChangeFeed,
  createChangeFeed,
  createLeaseKeeper,
  createLeases,
  type HostOffer,
  PROTOCOL,
  type Renewal,
  type WaitingRecord,
} from '../../queue/index.js'
import { type RedisLink, untilAborted } from '../../queue/redis/index.js'
import { createClaimer } from './claimer.js'
import type { Work } from './pipeline.js'
import { createRuns } from './runs.js'

export type EngineOptions = {
  readonly hostId: string
  /** How long this host keeps a record without renewing its lease. */
  readonly leaseMs: number
  /** Protocol number of the records that are read and written; that of this build by default. */
  readonly protocol?: number
}

export type EngineDeps = {
  readonly link: RedisLink
  readonly works: readonly Work[]
  /** GPUs that the host lends, or 1 for its CPU slot. */
  readonly slots: () => number
  /** Called before each claim, so that a drain takes effect as soon as it is requested. */
  readonly mayClaim: () => Promise<boolean>
  /** What the other living hosts that take work announce. */
  readonly others: () => Promise<readonly HostOffer[]>
  /** Writes ends of runs again that Redis may have lost; called at the start and after each reconnect. */
  readonly restoreEnds: () => Promise<void>
  readonly log: Logger
}

/**
 * What a host does with records of any kind: claims the oldest that fit while it has a free place, renews their leases, ends
 * runs that have to end, and hands back records that it does not finish. The caller holds the lock of the data folder, so no
 * earlier worker of this host is alive.
 */
export type Engine = Service & {
  /** Called after changes that allow further claims, such as a free place. */
  wake(): void
  /** Ids of the records that it works on. */
  active(kind: WaitingRecord['kind']): readonly string[]
}

/** Changes after which a record may be claimed. */
const OFFERS: ReadonlySet<string> = new Set(['created', 'released', 'expired', 'taken-back', 'reopened', 'resumed'])

export function createEngine(options: EngineOptions, deps: EngineDeps): Engine {
  const { hostId, leaseMs, protocol = PROTOCOL } = options
  const { link } = deps
  const log = deps.log.child({ component: 'engine' })
  const claimant = { host: hostId, incarnation: randomUUID(), leaseMs, protocol }
  const leases = createLeases(link, claimant)
  const timers = createTimers()
  let mayHaveLostEnds = true
  const runs = createRuns({ onEnd: () => claimer.wake(), log })
  const claimer = createClaimer({
    ...{ ...deps, claimant, runs, onReleased, log },
    wakeIn: (ms) => timers.add(ms, () => claimer.wake()),
  })

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    const takenBack = await untilAborted(leases.takeBack(), signal)
    if (takenBack.length > 0) log.warn({ records: takenBack }, 'records of a worker that died taken back')
    closers.add(
      'lost ends',
      link.onReconnect(() => (mayHaveLostEnds = true)),
    )
    await untilAborted(restoreEnds(), signal)
    const keeper = createLeaseKeeper(
      { leaseMs },
      {
        ...{ link, leases, held: () => runs.active.map(({ claim }) => claim), log },
        ...{ beforeRenewal: restoreEnds, onRenewed, onReturned: claimer.wake },
      },
    )
    closers.add('leases', () => keeper.stop())
    await keeper.start({ signal })
    closers.add('timers', () => timers.clear())
    const feed = createChangeFeed(link, {}, { log })
    closers.add('changes', () => feed.stop())
    await feed.start({ signal })
    closers.add('runs', endRuns)
    claimer.start()
    void follow(feed, service.signal)
  }

  // Called before the first renewal after a reconnect: only after that may other hosts claim records whose end was lost.
  async function restoreEnds(): Promise<void> {
    if (!mayHaveLostEnds) return
    mayHaveLostEnds = false
    await deps.restoreEnds().catch((error: unknown) => {
      mayHaveLostEnds = true
      log.warn({ err: error }, 'ends of runs not compared')
    })
  }

  async function endRuns(): Promise<void> {
    runs.shutDown()
    await claimer.end()
    runs.shutDown() // runs that were claimed meanwhile
    await runs.ended()
  }

  async function follow(feed: ChangeFeed, signal: AbortSignal): Promise<void> {
    try {
      for await (const item of feed.follow(undefined, signal)) {
        if (item.snapshot || OFFERS.has(item.change.what)) claimer.wake()
        else if (item.change.what === 'intent') runs.readIntent(item.change.id)
      }
    } catch (error) {
      if (!signal.aborted) log.error({ err: error }, 'changes of records not followed') // renewals still claim
    }
  }

  function onRenewed(renewals: readonly Renewal[]): void {
    runs.onRenewed(renewals)
    claimer.wake()
  }

  // This host returns the record at the end of the pause; if it has died by then, the renewal of another host does.
  function onReleased(pauseMs: number): void {
    const resume = () => leases.returnExpired().catch(() => undefined) // else the next renewal does it
    if (pauseMs > 0) timers.add(pauseMs, () => void resume())
  }

  const service = createService('engine', open, { log })
  return {
    start: service.start,
    stop: service.stop,
    [Symbol.asyncDispose]: service[Symbol.asyncDispose],
    wake: claimer.wake,
    active: (kind) => runs.active.flatMap((run) => (run.kind === kind ? [run.claim.id] : [])),
  }
}

/** Timers that end with the engine. */
function createTimers() {
  const timers = new Set<NodeJS.Timeout>()
  let isOver = false
  return {
    add(ms: number, act: () => void): void {
      if (isOver) return
      const timer = setTimeout(() => {
        timers.delete(timer)
        act()
      }, ms)
      timers.add(timer)
    },
    clear(): void {
      isOver = true
      for (const timer of timers) clearTimeout(timer)
    },
  }
}
