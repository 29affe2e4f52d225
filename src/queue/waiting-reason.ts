import type { KnownHost, NotServed, Seen } from './fleet/fleet.js'
import { byAge, fits, type HostOffer, type RecordNeeds, seenBy, unfitness } from './records/rank.js'
import type { TrainingRecord } from './trainings/training-record.js'
import { isWaiting, NO_HOST, waitsForSlots } from './trainings/waiting.js'

export type HostInFleet = Pick<
  Seen<KnownHost>,
  | 'hostId'
  | 'isAlive'
  | 'trainers'
  | 'converters'
  | 'notServed'
  | 'protocol'
  | 'gpuState'
  | 'free'
  | 'full'
  | 'preflights'
> & { readonly isDraining: boolean }

/**
 * `unfit`: no host could work on it as things are; `starting`: the same, but preflights have not ended; `busy`: those that could have
 * no free place; `held`: hosts have handed it back too often, and it waits for a person;
 * `slots`: the host that has it lends what it needs to others.
 */
export type WaitingReason = {
  readonly kind: 'no-host' | 'unfit' | 'starting' | 'draining' | 'busy' | 'held' | 'slots'
  readonly sentence: string
}

/**
 * Why a record waits, in one sentence, from what the hosts announce; undefined if a host is about to claim it. `waiting` are
 * the records that wait with it.
 * @internal since its test has a table of hosts, also for conversions.
 */
export function waitingReason(
  asWritten: RecordNeeds,
  { hosts, waiting = [] }: { readonly hosts: readonly HostInFleet[]; readonly waiting?: readonly RecordNeeds[] },
): WaitingReason | undefined {
  const record = seenBy(asWritten, takingOffers(hosts))
  const living = hosts.filter(({ isAlive }) => isAlive)
  if (living.length === 0) return { kind: 'no-host', sentence: NO_HOST }
  const fit = living.filter((host) => fits(record, offerOf(host)))
  if (fit.length === 0) {
    const refusals = refusalsOf(record, living)
    const isStarting = refusals.some(({ refusal }) => refusal.cause === 'preflight-pending')
    return { kind: isStarting ? 'starting' : 'unfit', sentence: toSentence(clausesOf(record, living, refusals)) }
  }
  const taking = fit.filter(({ isDraining }) => !isDraining)
  if (taking.length === 0) {
    const who = fit.length === 1 ? 'the only host that serves' : 'all hosts that serve'
    const drain = fit.length === 1 ? 'drains' : 'drain'
    return { kind: 'draining', sentence: toSentence([`${who} ${record.name} ${drain}: ${namesOf(fit)}`]) }
  }
  // What hosts announce as free are their places for trainings.
  if (record.kind !== 'training' || taking.some(({ free, full }) => free > 0 && !full.includes(record.name)))
    return undefined
  const before = waiting.filter(
    (other) => byAge(other, record) < 0 && taking.some((host) => fits(other, offerOf(host))),
  ).length
  const count =
    before === 1 ? '1 training is' : `${before === 0 ? 'no' : before} training${before === 0 ? ' is' : 's are'}`
  const what = taking.some(({ free }) => free > 0) ? 'slot' : 'place'
  const places =
    record.avoid.length === 0
      ? `Every ${what} is taken`
      : `It failed on ${record.avoid.join(', ')}, and every ${what} of other hosts is taken`
  return { kind: 'busy', sentence: `${places}; ${count} before it.` }
}

/** Why a training waits; undefined if it does not. `unfinished` are the trainings of the fleet that have not ended. */
export function whyTrainingWaits(
  training: TrainingRecord,
  {
    hosts,
    unfinished = [],
  }: { readonly hosts: readonly HostInFleet[]; readonly unfinished?: readonly TrainingRecord[] },
): WaitingReason | undefined {
  if (waitsForSlots(training)) return { kind: 'slots', sentence: `Waits for free slots on ${training.hostId}.` }
  if (!isWaiting(training)) return undefined
  if (training.held !== null) return { kind: 'held', sentence: heldSentence(training.id) }
  return waitingReason(needsOf(training), { hosts, waiting: unfinished.filter(isWaiting).map(needsOf) })
}

function heldSentence(id: string): string {
  return `Hosts handed it back twenty times within a day; see its log, then let it wait for hosts again: loopfleet trainings retry ${id}.`
}

function needsOf({ id, trainer, requires, protocol, createdAt, avoid }: TrainingRecord): RecordNeeds {
  return { id, kind: 'training', name: trainer, requires, protocol, createdAt, avoid }
}

/** Living hosts that take work, as a claim sees them. */
export function takingOffers(hosts: readonly HostInFleet[]): readonly HostOffer[] {
  return hosts.filter(({ isAlive, isDraining }) => isAlive && !isDraining).map(offerOf)
}

/**
 * The offer that a host announces, as a claim reads it.
 * @internal since a test compares the reason with what a claim of this offer ranks.
 */
export function offerOf({ hostId, protocol = 0, gpuState, trainers, converters }: HostInFleet): HostOffer {
  return {
    hostId,
    protocol,
    slots: Math.max(1, gpuState?.offered.length ?? 0),
    names: { training: trainers, conversion: converters },
  }
}

type Refused = { readonly host: HostInFleet; readonly refusal: NotServed }

function kindOf(record: RecordNeeds): NotServed['kind'] {
  return record.kind === 'training' ? 'trainer' : 'converter'
}

function refusalsOf(record: RecordNeeds, living: readonly HostInFleet[]): Refused[] {
  return living.flatMap((host) => {
    const refusal = host.notServed.find(({ kind, name }) => kind === kindOf(record) && name === record.name)
    return refusal === undefined ? [] : [{ host, refusal }]
  })
}

function clausesOf(record: RecordNeeds, living: readonly HostInFleet[], refusals: readonly Refused[]): string[] {
  const lacking = living.map((host) => ({ host, lacks: unfitness(record, offerOf(host)) }))
  const tooOld = lacking.flatMap(({ host, lacks }) => (lacks === 'protocol' ? [host] : []))
  const tooSmall = lacking.flatMap(({ host, lacks }) => (lacks === 'slots' ? [host] : []))
  if (refusals.length + tooOld.length + tooSmall.length === 0)
    return [`no host serves ${kindOf(record)} ${record.name}`]
  const newer = `it was written by a newer version (protocol ${record.protocol}) than that of ${namesOf(tooOld)}`
  return [
    ...gpuClauses(refusals, tooSmall, record),
    ...refusals.flatMap(({ host, refusal }) => refusalClause(host, refusal)),
    ...(tooOld.length > 0 ? [newer] : []),
  ]
}

/** What the largest host has is a reason only where GPUs are all that is missing. */
function gpuClauses(refusals: readonly Refused[], tooSmall: readonly HostInFleet[], record: RecordNeeds): string[] {
  const counts = [
    ...refusals.flatMap(({ host, refusal: { cause, gpus } }) =>
      cause === 'too-few-gpus' && gpus !== undefined ? [{ host, ...gpus }] : [],
    ),
    ...tooSmall.map((host) => ({ host, wanted: record.requires.gpus, offered: offerOf(host).slots })),
  ]
  const wanted = Math.max(...counts.map((count) => count.wanted))
  if (counts.length === 0) return []
  if (counts.length < refusals.length + tooSmall.length) {
    return counts.map(({ host, offered }) => `host ${host.hostId} has ${offered} of ${wanted} GPUs`)
  }
  const largest = Math.max(...counts.map(({ offered }) => offered))
  return [`needs ${wanted} GPU${wanted === 1 ? '' : 's'}; the largest host has ${largest === 0 ? 'none' : largest}`]
}

function refusalClause({ hostId, preflights }: HostInFleet, { kind, name, reason, cause, gpus }: NotServed): string[] {
  switch (cause) {
    case 'too-few-gpus':
      return gpus === undefined ? [`host ${hostId} does not serve ${name}: ${withoutPoint(reason)}`] : []
    case 'gpus-unreadable':
      return [`the GPUs of ${hostId} are unreadable`]
    case 'preflight-pending':
      return [`the first preflight of ${name} has not ended on ${hostId}`]
    case 'preflight-failed': {
      const report = preflights.find((each) => each.kind === kind && each.name === name)
      return [`preflight fails on ${hostId}: ${withoutPoint(report?.reason ?? reason)}`]
    }
    case undefined:
      return [`host ${hostId} does not serve ${name}: ${withoutPoint(reason)}`]
    default:
      return cause satisfies never
  }
}

function toSentence(clauses: readonly string[]): string {
  const text = clauses.join('; ')
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

function namesOf(hosts: readonly HostInFleet[]): string {
  return hosts.map(({ hostId }) => hostId).join(', ')
}

function withoutPoint(text: string): string {
  return text.replace(/\.$/, '')
}
