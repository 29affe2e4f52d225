import { setTimeout as sleep } from 'node:timers/promises'
import { backOffMs, type Closers, createService, LoopfleetError, messageOf, type Service } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { ProgramExit } from '../../process/index.js'
import { type Part, PartNotStartedError } from '../parts.js'

/** A part that is started again whenever it ends by itself. */
export type KeptPart = Service & {
  /** A fact of its first ready line; throws if it is not a text. */
  fact(name: string): string
}

export type KeptPartOptions = {
  readonly label: string
  /** An exit with 0 is a wish to be started again immediately, as when the Loop asks a node to restart. */
  readonly exitsToRestart?: boolean
  /** A part that lived for so long starts with short waits again. */
  readonly healthyAfterMs?: number
  /** How long the first start waits for a folder that an ending predecessor still holds. */
  readonly folderWaitMs?: number
}

export type KeptPartDeps = {
  /** Starts it once; ends it again when the signal aborts before it is ready. */
  readonly start: (signal: AbortSignal) => Promise<Part>
  readonly log: Logger
}

/** A part that is kept running. Its start throws when the first one fails: then something is wrong with the input. */
export function createKeptPart(options: KeptPartOptions, deps: KeptPartDeps): KeptPart {
  const { label, exitsToRestart = false, healthyAfterMs = 60_000, folderWaitMs = 30_000 } = options
  const log = deps.log.child({ component: 'up', part: label })
  let first: Part | undefined

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    const starting = startFirst(signal)
    // A part that is asked to end while it starts is waited for: what it uses is closed after it.
    closers.add('start', () => starting.catch(() => undefined))
    let part = await starting
    first = part
    const watching = watch()
    closers.add('part', async () => {
      await part.program.end()
      await watching
      await part.program.end()
    })

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
        const next = await startAgain(asked && attempt === 1 ? 0 : attempt, signal)
        if (next === undefined) return
        part = next
        if (asked) attempt = 0
        log.info({ pid: next.program.pid }, 'part restarted')
      }
    }
  }

  async function startFirst(signal: AbortSignal): Promise<Part> {
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

  async function startAgain(failures: number, signal: AbortSignal): Promise<Part | undefined> {
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
    ...createService(label, open, { log }),
    fact(name) {
      const value = first?.facts[name]
      if (typeof value === 'string') return value
      throw new LoopfleetError('LF_PART_NOT_STARTED', `The ${label} did not tell its ${name}.`)
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
