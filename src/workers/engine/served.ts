import type { Logger } from '../../base/logger/index.js'
import { GpusUnreadableError, NotEnoughGpusError } from '../../executors/contract/index.js'
import { type GpuCount, type GpuOffer, type Lease, refusalOf } from '../../executors/gpu/index.js'
import type { FleetHost, NotServed, PreflightReport } from '../../queue/index.js'

type Definition = { readonly name: string; readonly gpus: GpuCount }

/** The trainers and converters that a worker serves: its GPUs suffice for them, and their preflight has passed. */
export type Served = {
  has(kind: NotServed['kind'], name: string): boolean
  readonly missing: readonly NotServed[]
  /** Applies the current offer and preflights; changes are logged. */
  follow(offer: GpuOffer): void
}

export function createServed(
  work: { readonly trainers: readonly Definition[]; readonly converters: readonly Definition[] },
  deps: {
    readonly preflightOf: (kind: NotServed['kind'], name: string) => PreflightReport | undefined
    /** Why it is suspended on this host, if it is. */
    readonly suspendedFor: (kind: NotServed['kind'], name: string) => string | undefined
    readonly log: Logger
  },
): Served {
  const { log } = deps
  let missing: readonly NotServed[] = []

  const has = (kind: NotServed['kind'], name: string) =>
    !missing.some((each) => each.kind === kind && each.name === name)

  return {
    has,
    get missing() {
      return missing
    },
    follow(offer) {
      const before = missing
      missing = [...missingOf('trainer', work.trainers, offer), ...missingOf('converter', work.converters, offer)]
      for (const { kind, name, reason } of missing) {
        if (reason === PENDING || before.some((each) => isSame(each, { kind, name, reason }))) continue
        log.warn({ [kind]: name, reason }, 'not served by this host; its work stays queued for other hosts')
      }
      for (const { kind, name, reason } of before) {
        if (reason !== PENDING && has(kind, name)) log.info({ [kind]: name }, 'served by this host again')
      }
    },
  }

  function missingOf(kind: NotServed['kind'], definitions: readonly Definition[], offer: GpuOffer): NotServed[] {
    return definitions.flatMap(({ name, gpus }) => {
      const suspended = deps.suspendedFor(kind, name)
      if (suspended !== undefined) return [{ kind, name, reason: suspended }]
      const refusal = refusalOf(offer, gpus)
      const why = refusal === undefined ? preflightCause(deps.preflightOf(kind, name)) : gpuCause(refusal)
      return why === undefined ? [] : [{ kind, name, ...why }]
    })
  }
}

type Why = Omit<NotServed, 'kind' | 'name'>

/** Undefined if the preflight has passed, or none is made. */
function preflightCause(report: PreflightReport | undefined): Why | undefined {
  if (report === undefined || report.state === 'passed') return undefined
  if (report.state === 'failed') return { reason: `Its preflight fails: ${report.reason}`, cause: 'preflight-failed' }
  return { reason: report.reason ?? PENDING, cause: 'preflight-pending' }
}

// The host gives the reason of unreadable GPUs once, for all that needs them.
function gpuCause(refusal: NotEnoughGpusError | GpusUnreadableError): Why {
  if (refusal instanceof GpusUnreadableError)
    return { reason: 'The GPUs of this host are unreadable.', cause: 'gpus-unreadable' }
  const { wanted, present } = refusal.details
  return { reason: refusal.message, cause: 'too-few-gpus', gpus: { wanted: Number(wanted), offered: Number(present) } }
}

/** Not logged, since it is true at each start. */
const PENDING = 'Its first preflight has not ended.'

function isSame(a: NotServed, b: NotServed): boolean {
  return a.kind === b.kind && a.name === b.name && a.reason === b.reason
}

/** The offer as the fleet shows it. */
export function gpuStateOf(offer: GpuOffer): FleetHost['gpuState'] {
  const { state, reason } = offer
  return { state, reason, offered: state === 'gpus' ? offer.cards.map(({ index }) => index) : [] }
}

/** Whether another host may be able to do the work: it is handed back and does not count as a failure. */
export function isForOtherHosts(error: unknown): boolean {
  return error instanceof NotEnoughGpusError || error instanceof GpusUnreadableError
}

/** The device of a training, for people: `GPU 0, 1`, or why it is the CPU. */
export function deviceOf({
  definition,
  lease,
}: {
  readonly definition: Definition
  readonly lease: Lease | undefined
}): string {
  const slots = lease?.slots ?? []
  if (slots.length > 0) return `GPU ${slots.join(', ')}`
  return definition.gpus === 'auto' ? 'the CPU, since this host offers no GPU (gpus: auto)' : 'the CPU (gpus: 0)'
}
