import type { FailedAttempt, FailureCause } from '../../../src/queue/blame/attempt.js'
import { type KnownAttempt, provenHosts } from '../../../src/queue/blame/known-attempts.js'
import { gpusToSpare, nextAttempt } from '../../../src/queue/blame/next-attempt.js'
import { type Suspension, suspensionsOf } from '../../../src/queue/blame/suspensions.js'
import { fits, type HostOffer, type RecordNeeds, seenBy } from '../../../src/queue/records/rank.js'

/** A host of a simulated fleet. What is broken on it fails everything within seconds. */
export type SimulatedHost = {
  readonly hostId: string
  readonly gpus: number
  readonly brokenTrainers: readonly string[]
  readonly brokenGpu: number | undefined
  /** Of each hour the host is away for so many seconds, and loses what it works on. */
  readonly awaySeconds: number
}

export type SimulatedTraining = {
  readonly id: string
  readonly trainer: string
  readonly epochs: number
  /** It fails wherever it runs: its script or its order is wrong, or needs too much memory. */
  readonly failsOf: 'script' | 'memory' | undefined
  /** Epochs after which it fails once, each by accident; a torn checkpoint has it begin from epoch 1. */
  readonly accidents: readonly { readonly epoch: number; readonly isTorn: boolean }[]
}

type Work = {
  readonly training: SimulatedTraining
  readonly accidents: { epoch: number; isTorn: boolean }[]
  outcome: 'completed' | 'failed' | undefined
  why: string | undefined
  failures: FailedAttempt[]
  counted: number
  furthest: number
  checkpoint: number
  avoid: readonly string[]
  avoidUntil: number
  attempts: number
  readyAt: number
}

type Running = {
  readonly work: Work
  readonly host: SimulatedHost
  readonly gpu: number
  readonly startedAt: number
  readonly isOnTrial: boolean
  readonly gpusOffered: number
  epoch: number
  last: number | null
  nextAt: number
  hasGained: boolean
}

const TICK_MS = 5_000
const EPOCH_MS = 20_000

/** Runs trainings on hosts by the decision functions alone, in time of its own; answers what became of them. */
export function simulate(hosts: readonly SimulatedHost[], trainings: readonly SimulatedTraining[], hours = 48) {
  const names = [...new Set(trainings.map(({ trainer }) => trainer))]
  const works = trainings.map(toWork)
  const known: KnownAttempt[] = []
  const suspended = new Map<string, { at: number; hostId: string; suspension: Suspension }>()
  let running: Running[] = []
  let now = 1_000_000_000

  const isAway = ({ awaySeconds, hostId }: SimulatedHost) =>
    (now / 1000 + 1_300 * Number(hostId.slice(1))) % 3_600 < awaySeconds
  const keyOf = (host: SimulatedHost, gpu: number) => ({ key: `${host.hostId}-${gpu}`, index: gpu })
  let current: ReadonlyMap<string, readonly Suspension[]> = new Map()

  function judge(): void {
    const next = new Map<string, readonly Suspension[]>()
    for (const host of hosts) {
      const others = hosts.filter((other) => other !== host && !isAway(other))
      const serves = names.map((name) => ({
        ...({ kind: 'training', name, gpus: 1 } as const),
        isServedElsewhere: others.some((other) => !isSuspended(other, name)),
      }))
      const gpus = Array.from({ length: host.gpus }, (_, gpu) => keyOf(host, gpu))
      const found = suspensionsOf({ hostId: host.hostId, resumedAt: 0, attempts: known, now, gpus, serves })
      next.set(host.hostId, found)
      for (const suspension of found) {
        const key = JSON.stringify([host.hostId, suspension.place])
        if (!suspended.has(key)) suspended.set(key, { at: now, hostId: host.hostId, suspension })
      }
    }
    current = next
  }

  const pairOf = (host: SimulatedHost, name: string) =>
    current.get(host.hostId)?.find(({ place }) => 'name' in place && place.name === name)
  const isSuspended = (host: SimulatedHost, name: string) => pairOf(host, name)?.isOnTrial === false
  const gpuSuspension = (host: SimulatedHost, gpu: number) =>
    current.get(host.hostId)?.find(({ place }) => 'gpu' in place && place.gpu.index === gpu)

  const lendable = (host: SimulatedHost) =>
    Array.from({ length: host.gpus }, (_, gpu) => gpu).filter((gpu) => gpuSuspension(host, gpu)?.isOnTrial !== false)

  /** The best ones first. */
  function gpusFor(host: SimulatedHost, { failures, counted }: Work): number[] {
    const used = running.filter((each) => each.host === host).map(({ gpu }) => gpu)
    const { spare, mustSpare } = gpusToSpare(failures, counted, host.hostId)
    const rank = (gpu: number) => spare.lastIndexOf(keyOf(host, gpu).key)
    const free = lendable(host)
      .filter((gpu) => !used.includes(gpu))
      .sort((one, other) => rank(one) - rank(other))
    return mustSpare && lendable(host).some((gpu) => rank(gpu) < 0) ? free.filter((gpu) => rank(gpu) < 0) : free
  }

  function offerOf(host: SimulatedHost): HostOffer {
    const training = names.filter((name) => !isSuspended(host, name))
    return { hostId: host.hostId, protocol: 2, slots: lendable(host).length, names: { training, conversion: [] } }
  }

  function needsOf({ training, avoid }: Work): RecordNeeds {
    const head = { id: training.id, kind: 'training', name: training.trainer, protocol: 2, createdAt: 0 } as const
    return { ...head, requires: { gpus: 1 }, avoid: [...avoid] }
  }

  function claim(host: SimulatedHost): void {
    const offers = hosts.filter((other) => !isAway(other)).map(offerOf)
    for (const work of works) {
      const isWaiting = work.outcome === undefined && !running.some((each) => each.work === work)
      const onTrial = pairOf(host, work.training.trainer)?.isOnTrial === true
      const hasTrial = running.some(
        (each) => each.host === host && each.work.training.trainer === work.training.trainer,
      )
      if (!isWaiting || work.readyAt > now || gpusFor(host, work).length === 0 || (onTrial && hasTrial)) continue
      if (work.avoidUntil <= now) work.avoid = []
      if (!fits(seenBy(needsOf(work), offers), offerOf(host))) continue
      work.avoid = []
      start(work, host)
    }
  }

  function start(work: Work, host: SimulatedHost): void {
    const [gpu = 0] = gpusFor(host, work)
    const isOnTrial =
      pairOf(host, work.training.trainer)?.isOnTrial === true || gpuSuspension(host, gpu)?.isOnTrial === true
    work.attempts += 1
    const isBroken = host.brokenTrainers.includes(work.training.trainer) || host.brokenGpu === gpu
    const fails = isBroken || work.training.failsOf !== undefined
    const nextAt = now + (fails ? TICK_MS : EPOCH_MS)
    const common = { work, host, gpu, startedAt: now, isOnTrial, nextAt, gpusOffered: lendable(host).length }
    running.push({ ...common, epoch: work.checkpoint, last: null, hasGained: false })
  }

  function note(each: Running, outcome: KnownAttempt['outcome'], cause: FailureCause | null): void {
    known.push({
      ...{ kind: 'training', name: each.work.training.trainer, id: each.work.training.id, outcome, cause },
      ...{ hostId: each.host.hostId, gpus: [keyOf(each.host, each.gpu)], at: now, startedAt: each.startedAt },
      hasWorked: each.last !== null,
    })
  }

  function leave(each: Running): void {
    running = running.filter((other) => other !== each)
  }

  function fail(each: Running, cause: FailureCause): void {
    const { work, host } = each
    leave(each)
    note(each, 'failed', cause)
    const isCounted = !each.hasGained && !each.isOnTrial
    work.counted += Number(isCounted)
    const failure: FailedAttempt = {
      ...{ at: now, stage: 'train', hostId: host.hostId, gpus: [keyOf(host, each.gpu)] },
      ...{ name: work.training.trainer, gpusOffered: each.gpusOffered },
      ...{ cause, epoch: each.last, seconds: (now - each.startedAt) / 1000, isCounted, isOnTrial: each.isOnTrial },
    }
    work.failures = [...work.failures, failure].slice(-20)
    const others = hosts.filter((other) => other !== host && !isAway(other)).map(offerOf)
    const fit = others.filter((offer) => fits({ ...needsOf(work), avoid: [] }, offer))
    const proven = provenHosts(known, { kind: 'training', name: work.training.trainer, id: work.training.id })
    const next = nextAttempt({
      ...{ failures: work.failures, counted: work.counted, mayLeave: true, proven },
      others: fit.map(({ hostId }) => hostId),
    })
    if (next.next === 'none') {
      work.outcome = 'failed'
      work.why = next.why
    } else if (next.next === 'here') {
      work.avoid = []
      work.readyAt = now
      if (gpusFor(host, work).length > 0) start(work, host)
    } else {
      work.avoid = next.avoid
      work.avoidUntil = next.avoidMs === undefined ? Number.POSITIVE_INFINITY : now + next.avoidMs
    }
  }

  function proceed(each: Running): void {
    const { work, host } = each
    const { training } = work
    const isBroken = host.brokenTrainers.includes(training.trainer) || host.brokenGpu === each.gpu
    if (isBroken || training.failsOf !== undefined) {
      fail(each, !isBroken && training.failsOf === 'memory' ? 'memory' : 'program')
      return
    }
    each.epoch += 1
    const isFirst = each.last === null
    each.last = each.epoch
    each.nextAt = now + EPOCH_MS
    if (isFirst) note(each, 'worked', null)
    if (each.epoch > work.furthest) {
      work.furthest = each.epoch
      work.counted = 0
      each.hasGained = true
    }
    work.checkpoint = each.epoch
    const accident = work.accidents.find(({ epoch }) => epoch === each.epoch)
    if (accident !== undefined) {
      work.accidents.splice(work.accidents.indexOf(accident), 1)
      if (accident.isTorn) work.checkpoint = 0
      fail(each, 'program')
      return
    }
    if (each.epoch < training.epochs) return
    leave(each)
    note(each, 'finished', null)
    work.outcome = 'completed'
  }

  let judged = -1
  const end = now + hours * 3_600_000
  while (now < end && works.some(({ outcome }) => outcome === undefined)) {
    now += TICK_MS
    for (const each of running.filter(({ host }) => isAway(host))) leave(each)
    for (const each of [...running]) if (each.nextAt <= now) proceed(each)
    if (known.length !== judged || now % 60_000 === 0) judge()
    judged = known.length
    for (const host of hosts) if (!isAway(host)) claim(host)
  }
  return { works, suspended: [...suspended.values()], hours: hours - (end - now) / 3_600_000 }
}

function toWork(training: SimulatedTraining): Work {
  return {
    ...{ training, accidents: [...training.accidents], outcome: undefined, why: undefined, failures: [], counted: 0 },
    ...{ furthest: 0, checkpoint: 0, avoid: [], avoidUntil: 0, attempts: 0, readyAt: 0 },
  }
}
