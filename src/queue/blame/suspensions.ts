import type { RecordKind } from '../records/record-schema.js'
import type { FailureCause, PlaceGpu } from './attempt.js'
import type { KnownAttempt } from './known-attempts.js'

type Pair = { readonly kind: RecordKind; readonly name: string }

export type Suspension = {
  readonly place: { readonly gpu: PlaceGpu } | Pair
  readonly since: number
  /** From now on one real attempt decides whether it is lifted. */
  readonly isOnTrial: boolean
  readonly why: 'contrast' | 'gpu-error'
}

export type HostToJudge = {
  readonly hostId: string
  /** When a person, or a start of its worker, lifted all suspensions. */
  readonly resumedAt: number
  readonly attempts: readonly KnownAttempt[]
  /** By the clock of Redis. */
  readonly now: number
  /** Its GPUs. */
  readonly gpus: readonly PlaceGpu[]
  /** What it serves, with the GPUs that each needs, and whether another living host serves it too. */
  readonly serves: readonly (Pair & { readonly gpus: number; readonly isServedElsewhere: boolean })[]
}

/** So long after the last failure a suspended place is tried again. */
const TRIAL_AFTER_MS = 600_000
/** One failure is no contrast: a program that crashes by accident and then works elsewhere must not suspend a host. */
const LEAST_FAILURES = 2

/**
 * What of a host is suspended. A place (a GPU, or the host for one trainer or converter) is, when two programs have failed there
 * since it last worked, of one trainer or of two, and each of them has worked elsewhere since; or after an ECC or XID error. That the
 * trainer works elsewhere is not enough: it may be the order that fails. A pure function: every host and every observer comes to the same.
 */
export function suspensionsOf(host: HostToJudge): readonly Suspension[] {
  return [...suspendedGpus(host), ...suspendedPairs(host)]
}

function suspendedPairs(host: HostToJudge): Suspension[] {
  const isHere = ({ hostId }: KnownAttempt) => hostId === host.hostId
  const places = host.serves.map((pair) => {
    const all = host.attempts.filter(isOf(pair))
    const failures = failuresSince(all, isHere, host.resumedAt).filter(({ cause }) => isOfTheProgram(cause))
    return { pair, ...contrast(failures, all, (each) => !isHere(each)) }
  })
  // One failure may be an accident; those of one GPU say nothing of the host.
  const isShown = (evidence: readonly KnownAttempt[]) =>
    evidence.length >= LEAST_FAILURES && !isExplainedByGpu(evidence, host)
  // Of two trainers one may have failed of a GPU, unless there was no choice of GPUs.
  const isOfHost = ({ gpus }: KnownAttempt) => gpus.length === 0 || gpus.length >= host.gpus.length
  const ofTwo = places.filter(({ evidence }) => evidence.some(isOfHost))
  return places.flatMap(({ pair, evidence, by }) => {
    const isOfTwo = ofTwo.length > 1 && evidence.some(isOfHost)
    if (by === undefined || !pair.isServedElsewhere || !(isOfTwo || isShown(evidence))) return []
    const { kind, name } = pair
    return [toSuspension({ kind, name }, by, 'contrast', host)]
  })
}

function suspendedGpus(host: HostToJudge): Suspension[] {
  const isHere = ({ hostId }: KnownAttempt) => hostId === host.hostId
  const found = host.gpus.flatMap((gpu): Suspension[] => {
    const uses = (each: KnownAttempt) => isHere(each) && each.gpus.some(({ key }) => key === gpu.key)
    const failures = failuresSince(host.attempts, uses, host.resumedAt).filter((failed) => isOnly(gpu, failed, host))
    const broken = failures.filter(({ cause }) => cause === 'gpu')
    const last = broken.at(-1)
    if (last !== undefined) return [toSuspension({ gpu }, last.at, 'gpu-error', host)]
    const names = host.serves.map((pair) => {
      const all = host.attempts.filter(isOf(pair))
      // On another GPU of this host the same program works: else it may be the host.
      const worksBeside = ({ startedAt }: KnownAttempt) =>
        all.some(
          (each) => hasWorked(each) && isHere(each) && each.gpus.length > 0 && !uses(each) && each.at > startedAt,
        )
      const own = failures.filter((each) => isOf(pair)(each) && isOfTheProgram(each.cause) && worksBeside(each))
      return contrast(own, all, (each) => !uses(each))
    })
    if (names.flatMap(({ evidence }) => evidence).length < LEAST_FAILURES) return []
    const times = names.flatMap(({ by }) => by ?? [])
    return [toSuspension({ gpu }, Math.max(...times), 'contrast', host)]
  })
  return found.filter((each, index) => each.why === 'gpu-error' || canSpare(host, index + 1))
}

/** Whether all that only this host serves has enough GPUs left. */
function canSpare({ gpus, serves }: HostToJudge, suspended: number): boolean {
  return serves.every((each) => each.isServedElsewhere || each.gpus <= gpus.length - suspended)
}

/** All of them had a GPU in common that others of the host could have spared them: it may be that one. */
function isExplainedByGpu(failures: readonly KnownAttempt[], { gpus }: HostToJudge): boolean {
  return gpus.some(({ key }) =>
    failures.every((each) => each.gpus.length < gpus.length && each.gpus.some((one) => one.key === key)),
  )
}

/** Of several GPUs of one attempt it is the one that has not worked since. */
function isOnly(gpu: PlaceGpu, failed: KnownAttempt, { attempts, hostId }: HostToJudge): boolean {
  const hasWorkedSince = (key: string) =>
    attempts.some(
      (each) =>
        hasWorked(each) && each.hostId === hostId && each.at > failed.at && each.gpus.some((one) => one.key === key),
    )
  return failed.gpus.every(({ key }) => key === gpu.key || hasWorkedSince(key))
}

/** Failures at a place since it last worked: the older ones are forgiven. */
function failuresSince(
  attempts: readonly KnownAttempt[],
  isAt: (each: KnownAttempt) => boolean,
  resumedAt: number,
): readonly KnownAttempt[] {
  const here = attempts.filter(isAt)
  const lastWorked = Math.max(resumedAt, ...here.filter(hasWorked).map(({ at }) => at))
  return here.filter((each) => each.outcome === 'failed' && !each.hasWorked && each.startedAt >= lastWorked)
}

/** The failures of works that have worked elsewhere since, and by when that was known. */
function contrast(
  failures: readonly KnownAttempt[],
  all: readonly KnownAttempt[],
  isElsewhere: (each: KnownAttempt) => boolean,
): { readonly evidence: readonly KnownAttempt[]; readonly by: number | undefined } {
  const found = failures.flatMap((failed) => {
    const worked = all.find(
      (each) => each.id === failed.id && hasWorked(each) && isElsewhere(each) && each.startedAt >= failed.at,
    )
    return worked === undefined ? [] : [{ failed, at: worked.at }]
  })
  if (found.length === 0) return { evidence: [], by: undefined }
  const times = [...found.map(({ at }) => at), ...failures.map(({ at }) => at)]
  return { evidence: found.map(({ failed }) => failed), by: Math.max(...times) }
}

function toSuspension(
  place: Suspension['place'],
  since: number,
  why: Suspension['why'],
  { now }: HostToJudge,
): Suspension {
  return { place, since, why, isOnTrial: now >= since + TRIAL_AFTER_MS }
}

function isOf({ kind, name }: Pair) {
  return (each: KnownAttempt) => each.kind === kind && each.name === name
}

function hasWorked({ outcome }: KnownAttempt): boolean {
  return outcome !== 'failed'
}

/** Memory is a matter of what was ordered, and a broken GPU is suspended itself. */
function isOfTheProgram(cause: FailureCause | null): boolean {
  return cause === 'program' || cause === 'hung'
}
