import type { Logger } from '../../base/logger/index.js'
import type { Lease } from '../../executors/gpu/index.js'
import {
  type AttemptsOfFleet,
  causeOf,
  type FailedAttempt,
  type FailureFacts,
  type Fleet,
  type FleetRecord,
  fits,
  type NextAttempt,
  nextAttempt,
  type PlaceGpu,
  provenHosts,
  type RecordKind,
  takingOffers,
} from '../../queue/index.js'
import { levelOf } from '../../queue/redis-basics/index.js'

/** A program of a training or conversion that runs, or has run, on this host. */
export type HostProgram = {
  readonly kind: RecordKind
  readonly name: string
  readonly id: string
  /** Of this program alone. */
  readonly mark: string
  readonly gpus: readonly PlaceGpu[]
  /** How many the host offered when it began. */
  readonly gpusOffered: number
  /** By performance.now(). */
  readonly startedAt: number
}

type ProgramEnd = {
  readonly stage: string
  readonly facts: Pick<FailureFacts, 'code' | 'message' | 'outOfMemory' | 'lastLogLines'>
  readonly epoch: number | null
  /** It had reported an epoch or a model. */
  readonly hasWorked: boolean
  /** It came further than its training had ever been. */
  readonly hasGained: boolean
}

type Failed = {
  readonly record: Pick<FleetRecord<unknown>, 'id' | 'kind' | 'name' | 'requires' | 'protocol' | 'createdAt'>
  readonly failures: readonly FailedAttempt[]
  readonly counted: number
  /** Nothing is lost if another host goes on with it. */
  readonly mayLeave: boolean
}

/** Notes what becomes of the programs of a host, for the whole fleet, and decides what follows a failure. */
export type Blame = {
  /** How many GPUs this host offers. */
  gpusOffered(): number
  /** Waits for Redis, since the budget of the training depends on it. */
  failed(program: HostProgram, end: ProgramEnd): Promise<FailedAttempt>
  /** In the background: it runs on this host, or has ended well. */
  succeeded(program: HostProgram, outcome: 'worked' | 'finished'): void
  next(failed: Failed): Promise<NextAttempt>
}

export type BlameDeps = {
  readonly attempts: Pick<AttemptsOfFleet, 'note' | 'list'>
  readonly fleet: Pick<Fleet, 'hosts'>
  /** The host was suspended for it, or the GPU, and this is the attempt that may lift that. */
  readonly isOnTrial: (program: HostProgram) => boolean
  /** How many GPUs this host offers. */
  readonly gpus: () => number
  readonly log: Logger
}

export function createBlame({ hostId }: { readonly hostId: string }, deps: BlameDeps): Blame {
  const { attempts, fleet, log } = deps

  function noted({ kind, name, id, mark, gpus, startedAt }: HostProgram) {
    const seconds = Math.max(0, (performance.now() - startedAt) / 1000)
    return { kind, name, id, mark, hostId, gpus: [...gpus], seconds }
  }

  return {
    gpusOffered: deps.gpus,
    async failed(program, { stage, facts, epoch, hasWorked, hasGained }) {
      const cause = causeOf(facts)
      const isOnTrial = deps.isOnTrial(program)
      const entry = noted(program)
      const at = await attempts.note({ ...entry, outcome: 'failed', cause, hasWorked })
      const { name, gpus, seconds } = entry
      const isCounted = !hasGained && !isOnTrial
      return {
        at,
        stage,
        hostId,
        gpus,
        gpusOffered: program.gpusOffered,
        name,
        cause,
        epoch,
        seconds,
        isCounted,
        isOnTrial,
      }
    },
    succeeded(program, outcome) {
      attempts
        .note({ ...noted(program), outcome, cause: null, hasWorked: true })
        .catch((error: unknown) => log[levelOf(error)]({ err: error }, 'attempt not noted'))
    },
    async next({ record, failures, counted, mayLeave }) {
      const [hosts, known] = await Promise.all([fleet.hosts(), attempts.list([record])])
      const free = { ...record, avoid: [] }
      const others = takingOffers(hosts).filter((host) => host.hostId !== hostId && fits(free, host))
      const proven = provenHosts(known, record)
      return nextAttempt({ failures, counted, mayLeave, others: others.map((host) => host.hostId), proven })
    },
  }
}

/** The GPUs of a lease, as the fleet remembers them. */
export function gpusOf(lease: Lease | undefined): readonly PlaceGpu[] {
  return lease?.cards ?? []
}
