import type { FailedAttempt } from './attempt.js'

/** So many counted failures end a training, unless another host may yet show that it was none of its own. */
const MAX_FAILURES = 3
/** So many failures within a day end it, whatever it gained by them. */
const MAX_FAILURES_PER_DAY = 20
export const DAY_MS = 86_400_000
/** A program that has failed before that, and reported nothing, may have failed of its host. */
const BRIEF_SECONDS = 60
/** So many hosts on which others have finished show that a program fails of itself. */
const PROVEN_HOSTS = 3
/** How long the host on which it failed leaves it to others. */
const AVOID_MS = 60_000

export type FailedWork = {
  /** What the record keeps of failed attempts, the newest last. */
  readonly failures: readonly FailedAttempt[]
  /** How many of the newest count since it last made progress. */
  readonly counted: number
  /** Whether nothing is lost if another host goes on with it. */
  readonly mayLeave: boolean
  /** Other living hosts that take work and could take this. */
  readonly others: readonly string[]
  /** Hosts that finished another of the same trainer or converter within a day. */
  readonly proven: readonly string[]
}

/** What follows a failed attempt: another one on this host, or another host's; or the end. */
export type NextAttempt =
  | { readonly next: 'here' }
  /** Without `avoidMs` the hosts leave it to others as long as others live. */
  | { readonly next: 'elsewhere'; readonly avoid: readonly string[]; readonly avoidMs: number | undefined }
  | { readonly next: 'none'; readonly why: 'budget' | 'every-host' | 'day' }

/** A pure function of the record and of what the hosts announce. */
export function nextAttempt({ failures, counted, mayLeave, others, proven }: FailedWork): NextAttempt {
  const newest = failures.at(-1)
  if (newest === undefined) return { next: 'here' }
  const ofDay = failures.filter(({ at }) => at > newest.at - DAY_MS)
  if (ofDay.length >= MAX_FAILURES_PER_DAY) return { next: 'none', why: 'day' }
  const since = counted === 0 ? [] : failures.filter(({ isCounted }) => isCounted).slice(-counted)
  const tried = [...new Set([...since.map(({ hostId }) => hostId), newest.hostId])]
  const untried = mayLeave ? others.filter((hostId) => !isTried(hostId, since)) : []
  const avoid = tried.filter((hostId) => !untried.includes(hostId))
  const elsewhere = (avoidMs: number | undefined): NextAttempt => ({ next: 'elsewhere', avoid, avoidMs })
  if (newest.isOnTrial) return untried.length > 0 ? elsewhere(AVOID_MS) : { next: 'here' }
  if (!newest.isCounted || counted < MAX_FAILURES - 1) return { next: 'here' }
  if (counted < MAX_FAILURES) return untried.length > 0 ? elsewhere(AVOID_MS) : { next: 'here' }

  // It may be the hosts: then nothing of it counts until one has been tried that is fit, or enough are known to be.
  const isBrief = tried.every((hostId) => since.some((each) => each.hostId === hostId && isBriefOne(each)))
  const isShown = tried.filter((hostId) => proven.includes(hostId)).length >= PROVEN_HOSTS
  if (isBrief && !isShown && !isTried(newest.hostId, since)) return { next: 'here' }
  if (isBrief && !isShown && untried.length > 0) return elsewhere(undefined)
  return {
    next: 'none',
    why: isBrief && tried.length > 1 && (isShown || untried.length === 0) ? 'every-host' : 'budget',
  }
}

/** It failed there on two GPUs, on all that there were, or on the CPU: one of several may be broken. */
function isTried(hostId: string, since: readonly FailedAttempt[]): boolean {
  const there = since.filter((each) => each.hostId === hostId)
  if (there.some(({ gpus, gpusOffered }) => gpus.length === 0 || gpus.length >= gpusOffered)) return true
  return new Set(there.flatMap((each) => each.gpus.map(({ key }) => key))).size > 1
}

export type GpusToSpare = {
  /** GPUs of a host on which it has failed and gained nothing, the last one last. */
  readonly spare: readonly string[]
  /** It waits for others if these are all that are free. */
  readonly mustSpare: boolean
}

/** Which GPUs of a host the next attempt leaves alone: those on which it failed, and past its budget it waits for others. */
export function gpusToSpare(failures: readonly FailedAttempt[], counted: number, hostId: string): GpusToSpare {
  const spare = failures
    .filter((each) => each.hostId === hostId && (each.isCounted || each.isOnTrial))
    .flatMap(({ gpus }) => gpus.map(({ key }) => key))
  return { spare, mustSpare: counted >= MAX_FAILURES }
}

function isBriefOne({ seconds, epoch }: FailedAttempt): boolean {
  return epoch === null && seconds < BRIEF_SECONDS
}
