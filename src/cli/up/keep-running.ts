import { setTimeout as sleep } from 'node:timers/promises'
import { backOffMs } from '../../base/back-off.js'
import { LoopfleetError, messageOf } from '../../base/errors.js'
import type { Logger } from '../../base/logger.js'
import type { ProgramExit } from '../../process/running-program.js'
import { type Part, PartNotStartedError } from '../parts.js'

/** A part that is started again whenever it ends by itself. */
export type KeptPart = {
  /** As it was told when the part became ready first. */
  readonly first: Part
  /** Ends the part for good. */
  close(): Promise<void>
}

export type KeepRunningOptions = {
  readonly label: string
  /** An exit with 0 is a wish to be started again at once, as when the Loop asks a node to restart. */
  readonly exitsToRestart?: boolean
  /** A part that lived for so long starts with short waits again. */
  readonly healthyAfterMs?: number
  /** How long the first start waits for a folder that an ending predecessor still holds. */
  readonly folderWaitMs?: number
}

export type KeepRunningDeps = {
  readonly start: (signal: AbortSignal) => Promise<Part>
  readonly log: Logger
  readonly signal: AbortSignal
}

/** Starts a part and keeps it running. Throws when the first start fails: then something is wrong with the input. */
export async function keepRunning(options: KeepRunningOptions, deps: KeepRunningDeps): Promise<KeptPart> {
  const { label, exitsToRestart = false, healthyAfterMs = 60_000, folderWaitMs = 30_000 } = options
  const log = deps.log.child({ component: 'up', part: label })
  const closing = new AbortController()
  const signal = AbortSignal.any([closing.signal, deps.signal])
  const first = await startFirst()
  let part = first
  const watching = watch()

  async function startFirst(): Promise<Part> {
    const giveUpAt = performance.now() + folderWaitMs
    for (;;) {
      try {
        return await deps.start(signal)
      } catch (error) {
        // After a kill -9 of a whole `up`, its parts take some seconds to end what they had started.
        if (signal.aborted || !isFolderHeld(error) || performance.now() > giveUpAt) throw error
        log.info('waiting for the folder of an ending predecessor')
        await sleep(500, undefined, { signal })
      }
    }
  }

  async function watch(): Promise<void> {
    let attempt = 0
    for (;;) {
      const since = performance.now()
      const exit = await part.program.exited
      if (signal.aborted) return
      attempt = performance.now() - since >= healthyAfterMs ? 1 : attempt + 1
      const asked = exitsToRestart && exit.exitCode === 0
      if (asked) log.info('part asked to be started again')
      else log.error({ how: howItEnded(exit), lastLines: part.program.lastLines().slice(-5) }, 'part ended by itself')
      const next = await startAgain(asked && attempt === 1 ? 0 : attempt)
      if (next === undefined) return
      part = next
      if (asked) attempt = 0
      log.info({ pid: next.program.pid }, 'part restarted')
    }
  }

  async function startAgain(failures: number): Promise<Part | undefined> {
    for (let attempt = failures; !signal.aborted; attempt++) {
      try {
        if (attempt > 0) await sleep(backOffMs(attempt, { firstMs: 500, maxMs: 60_000 }), undefined, { signal })
        return await deps.start(signal)
      } catch (error) {
        if (!signal.aborted) log.error({ reason: messageOf(error) }, 'part not restarted')
      }
    }
    return undefined
  }

  return {
    first,
    async close() {
      closing.abort()
      await part.program.end()
      await watching
      await part.program.end()
    },
  }
}

const FOLDER_HELD = /\[LF_(?:FOLDER_LOCKED|REDIS_FOLDER_BUSY)\]$/

function isFolderHeld(error: unknown): boolean {
  return error instanceof PartNotStartedError && FOLDER_HELD.test(messageOf(error))
}

function howItEnded(exit: ProgramExit): string {
  return exit.signal === null ? `exit code ${exit.exitCode}` : `signal ${exit.signal}`
}

/** A fact that a part told when it was ready; throws when it is not a text. */
export function textFact(part: Part, name: string): string {
  const value = part.facts[name]
  if (typeof value === 'string') return value
  throw new LoopfleetError('LF_PART_NOT_STARTED', `The ${part.name} did not tell its ${name}.`)
}
