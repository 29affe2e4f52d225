import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Closers, LoopfleetError, messageOf } from '../base/index.js'
import type { Logger } from '../base/logger/index.js'
import type { Lease, Slots } from '../executors/gpu/index.js'
import {
  type OutputWatchDeps,
  type PreflightPlan,
  type PreflightResult,
  runPreflight,
} from '../executors/program/index.js'
import type { PreflightReport } from '../queue/index.js'
import { isForOtherHosts } from './engine/served.js'

export type PreflightLimits = {
  /** How long a preflight may take; 0 is no preflight at all. */
  readonly timeoutMs: number
  /** From one to the next while it passes, and while it does not. */
  readonly everyMs?: number
  readonly retryMs?: number
}

export type PreflightsOptions = Required<PreflightLimits> & {
  readonly hostId: string
  readonly pid: number
  readonly dataFolder: string
  readonly programEnv: Readonly<Record<string, string | undefined>>
}

export type PreflightsDeps = {
  readonly slots: Pick<Slots, 'acquire'>
  readonly outputThread?: OutputWatchDeps['outputThread']
  /** The result of one has changed. */
  readonly onChange: () => void
  readonly log: Logger
}

/** The preflights of a host: at its start, after failures of programs, hourly, and every minute while one fails. */
export type Preflights = {
  readonly reports: readonly PreflightReport[]
  /** Undefined for one that is not checked. */
  reportOf(kind: PreflightPlan['kind'], name: string): PreflightReport | undefined
  /** Begins in the background. */
  start(closers: Closers): void
  /** A program of this trainer or converter has failed, or its GPUs are there again. */
  again(kind: PreflightPlan['kind'], name: string, error?: unknown): void
}

export const DEFAULT_PREFLIGHT = { timeoutMs: 60_000, everyMs: 3_600_000, retryMs: 60_000 }
/** A GPU that is free is lent within that time; the others are in use, and nothing is to wait for a preflight. */
const LEND_MS = 100
/** In Python's words; the name is that of a module, such as a.b. */
const NOT_FOUND = /No module named '?([A-Za-z_][\w.]*)'?/g

type Own = {
  readonly plan: PreflightPlan
  report: PreflightReport
  readonly reported: Set<string>
  /** Counts what was asked for, so that nothing asked during a preflight is lost. */
  asked: number
  wake: AbortController
}

export function createPreflights(
  plans: readonly PreflightPlan[],
  options: PreflightsOptions,
  deps: PreflightsDeps,
): Preflights {
  const all = options.timeoutMs === 0 ? [] : plans.map(toOwn)
  const find = (kind: PreflightPlan['kind'], name: string) =>
    all.find(({ plan }) => plan.kind === kind && plan.name === name)

  async function keep(own: Own, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { asked } = own
      const hasPassed = await check(own, signal)
      if (own.asked === asked) await pause(own, hasPassed ? options.everyMs : options.retryMs, signal)
    }
  }

  async function pause(own: Own, ms: number, signal: AbortSignal): Promise<void> {
    own.wake = new AbortController()
    const either = AbortSignal.any([signal, own.wake.signal])
    await sleep(ms, undefined, { signal: either }).catch(() => undefined) // asked for, or the worker stops
  }

  /** Whether it was made now and has passed. */
  async function check(own: Own, signal: AbortSignal): Promise<boolean> {
    try {
      const lease = await borrow(own, signal)
      if (lease === 'none-free') return false
      try {
        const result = await runPreflight(own.plan, toOptions(own, lease, signal), deps)
        if (!signal.aborted) settle(own, result)
        return result.passed
      } finally {
        lease?.release()
      }
    } catch (error) {
      if (!signal.aborted) note(own, { ...own.report, reason: couldNotRun(error) })
      return false
    }
  }

  /**
   * The GPUs of a command of the file. The first one waits for them like a training, since no training of this trainer is
   * claimed before; later ones are left out while trainings have all GPUs.
   */
  async function borrow({ plan, report }: Own, signal: AbortSignal): Promise<Lease | 'none-free' | undefined> {
    if (plan.own === undefined || plan.gpus === 0) return undefined
    const brief = AbortSignal.timeout(LEND_MS)
    const waiting = report.at === null ? signal : AbortSignal.any([signal, brief])
    try {
      return await deps.slots.acquire(plan.gpus, { signal: waiting })
    } catch (error) {
      if (signal.aborted) throw error
      if (brief.aborted || isForOtherHosts(error)) return 'none-free' // the offer says why
      throw error
    }
  }

  function toOptions({ plan, reported }: Own, lease: Lease | undefined, signal: AbortSignal) {
    const { kind, name } = plan
    return {
      workspace: join(options.dataFolder, 'preflight', `${kind}-${name}`),
      env: options.programEnv,
      gpus: lease?.visible ?? [],
      owner: `${options.hostId}:${options.pid}:preflight-${kind}-${name}`,
      ...{ timeoutMs: options.timeoutMs, reported, signal },
    }
  }

  function settle(own: Own, result: PreflightResult): void {
    if (result.passed) own.reported.clear()
    const { kind, name } = own.plan
    const state = result.passed ? 'passed' : 'failed'
    const notes = result.passed ? [...result.notes] : []
    note(own, { kind, name, state, reason: result.passed ? null : result.reason, notes, at: Date.now() })
  }

  function note(own: Own, report: PreflightReport): void {
    const before = own.report
    own.report = report
    const { kind, name, state, reason, notes } = report
    if (before.state === state && before.reason === reason && String(before.notes) === String(notes)) return
    if (state === 'passed' && reason === null) deps.log.info({ [kind]: name, notes }, 'preflight passed')
    else deps.log.warn({ [kind]: name, reason }, state === 'failed' ? 'preflight failed' : 'preflight not carried out')
    deps.onChange()
  }

  return {
    get reports() {
      return all.map(({ report }) => report)
    },
    reportOf: (kind, name) => find(kind, name)?.report,
    start(closers) {
      const over = new AbortController()
      const kept = all.map((own) => keep(own, over.signal))
      closers.add('preflights', async (reason) => {
        over.abort(reason)
        await Promise.all(kept)
      })
    },
    again(kind, name, error) {
      const own = find(kind, name)
      if (own === undefined) return
      for (const module of notFoundIn(error)) own.reported.add(module)
      own.asked += 1
      own.wake.abort()
    },
  }
}

function toOwn(plan: PreflightPlan): Own {
  const { kind, name } = plan
  const report: PreflightReport = { kind, name, state: 'pending', reason: null, notes: [], at: null }
  return { plan, report, reported: new Set(), asked: 0, wake: new AbortController() }
}

/** The top-level modules that a failed program did not find, by its last lines. */
function notFoundIn(error: unknown): string[] {
  const lines = error instanceof LoopfleetError ? error.details.lastLogLines : undefined
  if (!Array.isArray(lines)) return []
  return [...lines.join('\n').matchAll(NOT_FOUND)].map(([, name = '']) => name.split('.')[0] ?? '')
}

function couldNotRun(error: unknown): string {
  return `The preflight could not be carried out: ${messageOf(error)}`
}
