import { join } from 'node:path'
import { messageOf, RunSupersededError, removeTree } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { TrainerEvent } from '../../executors/contract/index.js'
import { REST_MS } from '../../executors/training/index.js'
import { type CheckpointRules, filesBelow, fingerprint, markOf, watchedPaths } from './contents.js'
import type { Finished } from './marker.js'
import { createPacker } from './packer.js'
import { noteRun, type Restored, restoreEarlier, restoreNewest } from './restore.js'
import { type SnapshotOptions, takeSnapshot } from './snapshot.js'
import { createCheckpointStore } from './store.js'

/** A worker that is asked to end must be gone after nine seconds; what its programs leave of them is for packing. */
const GONE_AFTER_MS = 7500
const HAND_BACK_MS = 2500
const WHOLE_REST_MS = 200
const GIVE_UP_AFTER_MS = 10_000
const LOOK_EVERY_MS = 1000

type Say = (line: string) => void

/**
 * The checkpoints of one run in the folder that all hosts see. Packing goes on beside the training and never fails it;
 * what goes wrong is said in its log.
 */
export type Checkpoints = {
  /**
   * Restores what is newer than this workspace; returns what was restored. Never fails but by an end of the run, or with `mustRead`: then it
   * throws if it cannot tell what is there, since nothing that is packed may be missed.
   */
  restore(say: Say, options?: RestoreHow): Promise<Pick<Restored, 'epoch' | 'finished' | 'mark'> | undefined>
  /** Restores the newest one that no resume has failed with, whatever the workspace holds; returns its mark. */
  restoreEarlier(say: Say, options: Required<Pick<RestoreHow, 'failed'>>): Promise<string | undefined>
  /** From now on the program's new checkpoints are packed. */
  follow(say: Say): Promise<void>
  saw(event: TrainerEvent): void
  /** Packs what the program left when it was asked to end; gives up in time for the worker's own end. */
  handBack(): Promise<void>
  /** Packs the models of a training whose program has ended well; resolves when they are copied, while the packing continues. */
  finish(finished: Finished): Promise<void>
  /** Ends whatever is under way. */
  close(): Promise<void>
}

type RestoreHow = {
  readonly mustRead?: boolean
  /** Marks of checkpoints that a resume has failed with; these are left out. */
  readonly failed?: ReadonlySet<string>
}

export type CheckpointsOptions = {
  /** The folder that all hosts see. */
  readonly folder: string
  readonly trainingId: string
  readonly run: number
  readonly workspace: string
  readonly rules: CheckpointRules
  readonly everyMs: number
}
export type CheckpointsDeps = {
  /** Throws when another host has taken the training over. */
  readonly checkFence: () => Promise<void>
  /** Aborted when this run is over, for whatever reason. */
  readonly endSignal: AbortSignal
  readonly log: Logger
}

export function createCheckpoints(options: CheckpointsOptions, deps: CheckpointsDeps): Checkpoints {
  const { run, workspace, rules } = options
  const { checkFence, log } = deps
  const store = createCheckpointStore(options.folder, options.trainingId)
  const closing = new AbortController()
  const packing = new AbortController()
  const programOver = new AbortController()
  const rest = { wholeMs: WHOLE_REST_MS, otherMs: REST_MS, over: programOver.signal }
  let askedToEndAt: number | undefined
  deps.endSignal.addEventListener('abort', () => (askedToEndAt = performance.now()), { once: true })
  closing.signal.addEventListener('abort', () => packing.abort(), { once: true })
  let say: Say = () => undefined
  let epoch: number | null = null
  let lastProblem: string | undefined
  let last: Promise<void> = Promise.resolve()

  const packer = createPacker(
    { everyMs: options.everyMs, lookEveryMs: Math.min(LOOK_EVERY_MS, options.everyMs) },
    {
      state: async () => fingerprint(workspace, await filesBelow(workspace, watchedPaths(rules))),
      pack: () => pack({ rest, giveUpAfterMs: GIVE_UP_AFTER_MS, finished: null, signal: packing.signal }),
      failed: warn,
    },
  )

  type How = { rest: SnapshotOptions['rest']; giveUpAfterMs: number; finished: Finished | null; signal: AbortSignal }

  async function pack(how: How): Promise<boolean> {
    try {
      const write = await copy(how)
      await write?.()
      return write !== undefined
    } finally {
      await forgetCopies(how.finished)
    }
  }

  // In two halves: once the files are copied, the workspace may change and the training may go on.
  async function copy(how: How): Promise<(() => Promise<void>) | undefined> {
    const { signal, finished } = how
    const source = await markOf(workspace, rules, epoch)
    const names = await takeSnapshot({
      ...how,
      workspace,
      rules,
      target: copiesOf(finished),
      isFinished: finished !== null,
    })
    if (names === undefined) return undefined
    // One that was written meanwhile has no mark; then both are tried.
    const about = { run, epoch, finished, source: source === (await markOf(workspace, rules, epoch)) ? source : null }
    return async () => {
      const startedAt = performance.now()
      await checkFence()
      const { bytes } = await store.pack({ folder: copiesOf(finished), names }, about, { checkFence, signal })
      const seconds = (performance.now() - startedAt) / 1000
      lastProblem = undefined
      log.debug({ epoch: about.epoch, bytes, seconds }, 'checkpoint packed')
      say(`checkpoint of epoch ${about.epoch ?? '?'} packed for other hosts (${bytes} bytes, ${seconds.toFixed(1)} s)`)
    }
  }

  // The last ones have a place of their own: whatever is given up for them may still let go of its copies.
  function copiesOf(finished: Finished | null): string {
    return join(workspace, finished === null ? '.checkpoint-copy' : '.checkpoint-copy-finished')
  }

  async function forgetCopies(finished: Finished | null): Promise<void> {
    await removeTree(copiesOf(finished)).catch(() => undefined) // else they go with the workspace
  }

  function warn(error: unknown): void {
    if (!packing.signal.aborted) warnOfLast(error)
  }

  function warnOfLast(error: unknown): void {
    if (closing.signal.aborted || error instanceof RunSupersededError) return
    const problem = messageOf(error)
    if (problem === lastProblem) return // said once; it is tried again in silence
    lastProblem = problem
    log.warn({ err: error }, 'checkpoint not packed; the training goes on')
    say(`checkpoint not packed, the training goes on: ${problem}`)
  }

  return {
    async restoreEarlier(tell, { failed }) {
      const { endSignal: signal } = deps
      const found = await restoreEarlier({ workspace, rules, run, signal, failed }, { store, say: tell })
      if (found === undefined) return undefined
      log.info({ run: found.run, epoch: found.epoch }, 'earlier packed checkpoint restored')
      tell(`restored the earlier checkpoint of epoch ${found.epoch ?? '?'} that run ${found.run} has packed`)
      epoch = found.epoch
      return found.mark
    },
    async restore(tell, { mustRead = false, failed = new Set<string>() } = {}) {
      const { endSignal: signal } = deps
      try {
        if (mustRead) await store.checkFolder()
        const marker = await restoreNewest({ workspace, rules, run, signal, mustRead, failed }, { store, say: tell })
        if (marker === undefined) return undefined
        log.info({ run: marker.run, epoch: marker.epoch }, 'packed checkpoint restored')
        tell(`restored the checkpoint of epoch ${marker.epoch ?? '?'} that run ${marker.run} has packed`)
        epoch = marker.epoch
        return marker
      } catch (error) {
        signal.throwIfAborted()
        if (mustRead) throw error
        log.warn({ err: error }, 'no packed checkpoint could be read')
        tell(`no packed checkpoint could be read: ${messageOf(error)}`)
        return undefined
      }
    },
    async follow(tell) {
      say = tell
      try {
        await noteRun(workspace, run)
        await packer.follow()
      } catch (error) {
        warn(error)
      }
    },
    saw(event) {
      if (event.event !== 'error' && typeof event.epoch === 'number') epoch = event.epoch
      if (event.event === 'model') packer.hurry()
    },
    async handBack() {
      programOver.abort()
      const work = async () => {
        await packer.rest()
        await pack({ rest: null, giveUpAfterMs: HAND_BACK_MS, finished: null, signal: closing.signal })
      }
      const left = askedToEndAt === undefined ? 0 : askedToEndAt + GONE_AFTER_MS - performance.now()
      await within(Math.max(HAND_BACK_MS, left), work().catch(warn))
      closing.abort()
    },
    async finish(finished) {
      programOver.abort()
      packing.abort() // what is under way is older, and may take its time
      await within(HAND_BACK_MS, packer.rest())
      let write: (() => Promise<void>) | undefined
      const how = { rest: null, giveUpAfterMs: GIVE_UP_AFTER_MS, finished, signal: closing.signal }
      await copy(how).then((found) => (write = found), warnOfLast)
      last = Promise.resolve(write?.())
        .catch(warnOfLast)
        .finally(() => forgetCopies(finished))
    },
    async close() {
      closing.abort()
      await within(HAND_BACK_MS, Promise.all([packer.rest(), last]))
    },
  }
}

// A shared folder whose server is unreachable can block a call indefinitely; nothing else may wait for that.
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, over]).finally(() => clearTimeout(timer))
}
