import type {
  Claim,
  Claimant,
  Claimed,
  FleetRecord,
  Intent,
  Mark,
  Offered,
  RecordKind,
  Records,
  ReleaseOptions,
  WaitingRecord,
} from '../../queue/index.js'
import type { RunSwitch } from './run-switch.js'
import type { Room } from './slot-room.js'

/** One claim of a record by this host. Its writes throw LF_RUN_SUPERSEDED or LF_RECORD_LOST when they may not be made. */
export type Run<T> = Pick<RunSwitch, 'signal' | 'stopSignal' | 'shutdownSignal' | 'onStopAgain' | 'onRestored'> & {
  /** As it was when it was claimed. */
  readonly record: FleetRecord<T>
  readonly claim: Claim
  /** Runs in a row before it in which the worker died with nothing. */
  readonly fruitlessRuns: number
  /** Why it waited. */
  readonly offered: Offered
  /** The fence: directly before every effect outside. */
  check(): Promise<void>
  update(patch: Partial<T>, mark?: Mark): Promise<void>
  /** One of these three is the end of a run; a run that ends without is handed back. */
  finish(outcome: string, patch?: Partial<T>): Promise<void>
  release(options?: Omit<ReleaseOptions<T>, 'isExcused'>): Promise<void>
  remove(): Promise<void>
}

/** What is done with the records of one kind. */
export type Pipeline<T> = {
  readonly kind: RecordKind
  readonly records: Records<T>
  /** The trainers or converters that this host serves now. */
  names(): readonly string[]
  /** How many more runs of one of them it would take now. A run counts from the call of `carryOut`. */
  free(name: string): number
  /** What one more run of it would find of the slots of this host; without it there is always room. */
  room?(name: string): Room
  /** Works on a run to its end, and follows its signals. Called again, in another run, after any kill. */
  carryOut(run: Run<T>): Promise<void>
}

/** A run as the engine keeps it, whatever its record holds. */
export type ActiveRun = {
  readonly kind: RecordKind
  readonly name: string
  readonly claim: Claim
  readonly control: RunSwitch
  /** Its end is being written, or is written. */
  readonly isSettling: boolean
  carryOut(): Promise<void>
  /** Hands it back if nobody else has settled it. */
  giveUp(pauseMs: number): Promise<void>
  intent(): Promise<Intent | null>
}

/** A pipeline as the engine sees it: without what only the pipeline understands. */
export type Work = Pick<Pipeline<never>, 'kind' | 'names' | 'free'> & {
  room(name: string): Room
  waiting: Records<never>['waiting']
  claim(
    seen: WaitingRecord,
    by: Claimant,
    open: (claim: Claim) => RunSwitch,
    onReleased: (pauseMs: number) => void,
  ): Promise<{ readonly outcome: 'claimed'; readonly run: ActiveRun } | Exclude<Claimed<never>, { outcome: 'claimed' }>>
}

export function toWork<T extends object>(pipeline: Pipeline<T>): Work {
  const { kind, records } = pipeline
  return {
    kind,
    names: pipeline.names,
    free: pipeline.free,
    room: pipeline.room ?? (() => 'now'),
    waiting: records.waiting,
    async claim(seen, by, open, onReleased) {
      const answer = await records.claim(seen, by)
      if (answer.outcome !== 'claimed') return answer
      const control = open(answer.claim)
      control.obey(answer.before.intent)
      return { outcome: 'claimed', run: toActiveRun(pipeline, answer, control, onReleased) }
    },
  }
}

function toActiveRun<T extends object>(
  { kind, records, carryOut }: Pipeline<T>,
  { claim, before: record, fruitlessRuns, offered }: Extract<Claimed<T>, { outcome: 'claimed' }>,
  control: RunSwitch,
  onReleased: (pauseMs: number) => void,
): ActiveRun {
  let isSettling = false

  async function settle(end: () => Promise<unknown>): Promise<void> {
    isSettling = true
    await end()
  }

  const run: Run<T> = {
    ...{ record, claim, fruitlessRuns, offered },
    signal: control.signal,
    stopSignal: control.stopSignal,
    shutdownSignal: control.shutdownSignal,
    onStopAgain: control.onStopAgain,
    onRestored: control.onRestored,
    check: () => records.check(claim),
    update: (patch, mark) => records.update(claim, patch, mark),
    finish: (outcome, patch) => settle(() => records.finish(claim, outcome, patch)),
    async release(options = {}) {
      await settle(() => records.release(claim, options))
      onReleased(Math.max(options.pauseMs ?? 0, options.avoidMs ?? 0))
    },
    remove: () => settle(() => records.remove(claim)),
  }
  return {
    ...{ kind, name: record.name, claim, control },
    get isSettling() {
      return isSettling
    },
    carryOut: () => carryOut(run),
    giveUp: (pauseMs) => (isSettling ? Promise.resolve() : run.release({ pauseMs })),
    intent: () => records.intentOf(claim.id),
  }
}
