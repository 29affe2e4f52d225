import type { Logger } from '../../base/logger/index.js'
import type { GpuCount, OfferFilter } from '../../executors/gpu/index.js'
import {
  type AttemptsOfFleet,
  type Fleet,
  type NotServed,
  type SuspendedPart,
  type Suspension,
  suspensionsOf,
} from '../../queue/index.js'
import type { HostProgram } from './blame.js'

type Definition = { readonly name: string; readonly gpus: GpuCount }

/** What of this host is suspended, since programs fail there that work elsewhere. */
export type Suspended = {
  /** Reads what the fleet knows; at each heartbeat, and after failures. */
  read(): Promise<void>
  /** The reason, for people, why nothing of it is claimed. */
  reasonOf(kind: NotServed['kind'], name: string): string | undefined
  /** One real attempt at a time, until it is known whether it works. */
  isOnTrial(kind: NotServed['kind'], name: string): boolean
  hasTrial(program: HostProgram): boolean
  readonly parts: readonly SuspendedPart[]
}

export type SuspendedDeps = {
  readonly attempts: Pick<AttemptsOfFleet, 'list'>
  readonly fleet: Pick<Fleet, 'hosts' | 'resumedAt'>
  readonly gpus: OfferFilter
  /** What is served has changed. */
  readonly onChange: () => void
  /** Asked before a trial begins. */
  readonly preflight: (kind: NotServed['kind'], name: string) => void
  readonly log: Logger
}

export function createSuspended(
  options: {
    readonly hostId: string
    readonly trainers: readonly Definition[]
    readonly converters: readonly Definition[]
  },
  deps: SuspendedDeps,
): Suspended {
  const { hostId } = options
  const { gpus, log } = deps
  let now: readonly Suspension[] = []

  async function read(): Promise<void> {
    const pairs = [...options.trainers.map(toPair('training')), ...options.converters.map(toPair('conversion'))]
    const [times, attempts, hosts] = await Promise.all([
      deps.fleet.resumedAt(hostId),
      deps.attempts.list(pairs),
      deps.fleet.hosts(),
    ])
    const others = hosts.filter((host) => host.isAlive && !host.isDraining && host.hostId !== hostId)
    const serves = pairs.map((pair) => {
      const isIt = (names: readonly string[]) => names.includes(pair.name)
      return { ...pair, isServedElsewhere: others.some((host) => isIt(host[placeNames[pair.kind]])) }
    })
    const cards = gpus.whole.state === 'gpus' ? gpus.whole.cards : []
    settle(suspensionsOf({ ...times, hostId, attempts, serves, gpus: cards.map(({ key, index }) => ({ key, index })) }))
  }

  function settle(next: readonly Suspension[]): void {
    const before = now
    now = next
    if (String(before.map(toState)) === String(next.map(toState))) return
    report(before, next)
    for (const { place, isOnTrial } of next)
      if (isOnTrial && 'name' in place) deps.preflight(kindOf(place.kind), place.name)
    const aside = next.flatMap((each) =>
      'gpu' in each.place && !each.isOnTrial ? [[each.place.gpu.key, gpuReason(each)] as const] : [],
    )
    gpus.setAside(new Map(aside))
    deps.onChange()
  }

  function report(before: readonly Suspension[], next: readonly Suspension[]): void {
    for (const each of next) {
      if (before.some((one) => toState(one) === toState(each))) continue
      const facts = { what: whatOf(each), why: each.why }
      if (each.isOnTrial) log.info(facts, 'suspended part on trial')
      else log.warn(facts, 'part of this host suspended')
    }
    for (const each of before)
      if (!next.some((one) => whatOf(one) === whatOf(each))) log.info({ what: whatOf(each) }, 'suspension lifted')
  }

  const find = (kind: NotServed['kind'], name: string) =>
    now.find(({ place }) => 'name' in place && kindOf(place.kind) === kind && place.name === name)

  function gpuReason({ place, why }: Suspension): string {
    const what = 'gpu' in place ? `GPU ${place.gpu.index}` : ''
    return why === 'gpu-error'
      ? `${what} is suspended after an ECC or XID error`
      : `${what} is suspended, since what failed on it worked elsewhere`
  }

  return {
    read,
    reasonOf(kind, name) {
      const found = find(kind, name)
      if (found !== undefined && !found.isOnTrial) {
        return `It is suspended, since what failed here worked elsewhere; "loopfleet hosts resume ${hostId}" lifts that.`
      }
      const { whole } = gpus
      if (whole.state !== 'gpus' || gpus.offer.state !== 'unreadable') return undefined
      const definition = [...(kind === 'trainer' ? options.trainers : options.converters)].find(
        (each) => each.name === name,
      )
      return definition?.gpus === 0 ? undefined : `All its GPUs are suspended: ${gpus.offer.reason}.`
    },
    isOnTrial: (kind, name) => find(kind, name)?.isOnTrial === true,
    hasTrial({ kind, name, gpus: used }) {
      return now.some(({ place, isOnTrial }) => {
        if (!isOnTrial) return false
        return 'gpu' in place
          ? used.some(({ key }) => key === place.gpu.key)
          : place.kind === kind && place.name === name
      })
    },
    get parts() {
      return now.map((each) => ({ what: whatOf(each), since: each.since, isOnTrial: each.isOnTrial }))
    },
  }
}

const placeNames = { training: 'trainers', conversion: 'converters' } as const

function toPair(kind: 'training' | 'conversion') {
  return ({ name, gpus }: Definition) => ({ kind, name, gpus: gpus === 'auto' ? 1 : gpus })
}

function kindOf(kind: 'training' | 'conversion'): NotServed['kind'] {
  return kind === 'training' ? 'trainer' : 'converter'
}

function whatOf({ place }: Suspension): string {
  return 'gpu' in place ? `GPU ${place.gpu.index}` : `${kindOf(place.kind)} ${place.name}`
}

function toState(each: Suspension): string {
  return `${whatOf(each)} ${each.isOnTrial}`
}
