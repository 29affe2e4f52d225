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
  /** How long a record stays with this host when it is silent. */
  readonly leaseMs: number
  /** What this host reads and writes; this build's by default. */
  readonly protocol?: number
}

export type EngineDeps = {
  readonly link: RedisLink
  readonly works: readonly Work[]
  /** GPUs that the host lends, or 1 for its CPU slot. */
  readonly slots: () => number
  /** Asked before records are claimed, since a drain must count from the moment in which it was asked for. */
  readonly mayClaim: () => Promise<boolean>
  /** What the other living hosts that take work announce. */
  readonly others: () => Promise<readonly HostOffer[]>
  /** Writes ends again that Redis may have lost: at the start, and when it is reachable again. */
  readonly restoreEnds: () => Promise<void>
  readonly log: Logger
}

/**
 * What a host does with records, whatever kind they are of: claims the oldest that fit while it has a place, keeps their
 * leases, ends what has to end, and hands back what it does not finish. The caller holds the lock of the data folder, which
 * proves that earlier lives of this host are dead.
 */
export type Engine = Service & {
  /** Something has changed that decides what is claimed, such as places. */
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
    const back = await untilAborted(leases.takeBack(), signal)
    if (back.length > 0) log.warn({ records: back }, 'records of a worker that died taken back')
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

  // Before the renewal after which other hosts may claim.
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
    runs.shutDown() // what was claimed meanwhile
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

  // A pause ends for all hosts, so the one that asked for it does not have to live until then.
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
