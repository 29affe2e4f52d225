import type { Logger } from '../../base/logger/index.js'
import {
  type Claimant,
  type HostOffer,
  RecordInvalidError,
  rank,
  seenBy,
  type WaitingRecord,
} from '../../queue/index.js'
import { levelOf } from '../../queue/redis-basics/index.js'
import type { Work } from './pipeline.js'
import { createRunSwitch } from './run-switch.js'
import type { Runs } from './runs.js'

export type ClaimerDeps = {
  readonly works: readonly Work[]
  readonly claimant: Required<Claimant>
  readonly runs: Pick<Runs, 'active' | 'begin'>
  readonly slots: () => number
  readonly mayClaim: () => Promise<boolean>
  /** What the other living hosts that take work announce. */
  readonly others: () => Promise<readonly HostOffer[]>
  readonly onReleased: (pauseMs: number) => void
  readonly wakeIn: (ms: number) => void
  readonly log: Logger
}

/** Claims the oldest records that fit while there are places: one pass at a time, and another one if something has changed since. */
export type Claimer = {
  start(): void
  wake(): void
  /** Claims nothing more; resolves when no claim is under way. */
  end(): Promise<void>
}

const PAGE = 20
/** A host whose slots are taken leaves a record to hosts with free ones for so long before it claims it as its next one. */
const LEAVE_MS = 1_000
const MAX_SEEN = 1_000

export function createClaimer(deps: ClaimerDeps): Claimer {
  const { works, claimant, runs, log } = deps
  /** When records were first left to others, by performance.now(). */
  const leftSince = new Map<string, number>()
  let isClaiming = false
  let isAsked = false
  let passing: Promise<void> | undefined

  function wake(): void {
    isAsked = true
    if (passing !== undefined || !isClaiming) return
    passing = pass().finally(() => {
      passing = undefined
      if (isAsked) wake()
    })
  }

  async function pass(): Promise<void> {
    while (isAsked && isClaiming) {
      isAsked = false
      try {
        if (await deps.mayClaim()) for (const work of works) await claimFrom(work)
      } catch (error) {
        if (isClaiming) log[levelOf(error)]({ err: error }, 'records not claimed')
      }
    }
  }

  async function claimFrom(work: Work): Promise<void> {
    let offset = 0
    while (isClaiming) {
      const names = work.names().filter((name) => work.free(name) > 0)
      if (names.length === 0) return
      const { records, hasMore } = await work.waiting(names, { limit: PAGE, offset })
      let claimed = 0
      const avoid = new Set(runs.active.map(({ claim: { id } }) => id))
      const offer = {
        ...{
          hostId: claimant.host,
          protocol: claimant.protocol,
          slots: deps.slots(),
          names: namesOf(work, names),
          avoid,
        },
      }
      for (const record of rank(await forThisHost(records), offer)) {
        if (work.free(record.name) === 0 || !isClaiming || isLeft(work, record)) continue
        if (await claimReadable(work, record)) claimed += 1
      }
      if (!hasMore) return
      offset += PAGE - claimed // what was claimed waits no more
    }
  }

  // Other hosts are asked about only if some record is left to them.
  async function forThisHost(records: readonly WaitingRecord[]): Promise<readonly WaitingRecord[]> {
    if (!records.some(({ avoid }) => avoid.includes(claimant.host))) return records
    const others = await deps.others()
    return records.map((record) => seenBy(record, others))
  }

  function isLeft(work: Work, { id, name }: WaitingRecord): boolean {
    const room = work.room(name)
    if (room !== 'next') return room === 'none'
    if (leftSince.size > MAX_SEEN) leftSince.clear()
    const since = leftSince.get(id) ?? performance.now()
    leftSince.set(id, since)
    const waitMs = since + LEAVE_MS - performance.now()
    if (waitMs > 0) deps.wakeIn(waitMs)
    return waitMs > 0
  }

  // A record that cannot be parsed must not block the records after it.
  async function claimReadable(work: Work, record: WaitingRecord): Promise<boolean> {
    try {
      return await claim(work, record)
    } catch (error) {
      if (!(error instanceof RecordInvalidError)) throw error
      log.error({ err: error, id: record.id }, 'record unreadable')
      return false
    }
  }

  async function claim(work: Work, record: WaitingRecord): Promise<boolean> {
    const answer = await work.claim(record, claimant, createRunSwitch, deps.onReleased)
    switch (answer.outcome) {
      case 'claimed':
        leftSince.delete(record.id)
        runs.begin(answer.run)
        return true
      case 'changed':
        isAsked = true
        return false
      case 'settling':
        deps.wakeIn(answer.waitMs)
        return false
      case 'taken':
      case 'unknown':
      case 'too-new':
        return false
      default:
        return answer satisfies never
    }
  }

  return {
    start() {
      isClaiming = true
      wake()
    },
    wake,
    async end() {
      isClaiming = false
      await passing
    },
  }
}

function namesOf({ kind }: Work, names: readonly string[]) {
  return { training: [], conversion: [], [kind]: names } as const
}
