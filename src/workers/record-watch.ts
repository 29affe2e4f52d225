import type { Logger } from '../base/logger.js'
import type { RunInRedis } from '../queue/journal.js'
import { lostSentence } from '../queue/journal-errors.js'

/** What this host works on, and how to ask Redis for its record. */
export type HeldWork = {
  /** For people: `training x`. */
  readonly what: string
  readonly run: number
  readonly folder: string
  compare(): Promise<RunInRedis>
  /** A newer run has begun. */
  end(): void
}

/**
 * Knows whether Redis still has the records of what this host works on. One that is missing or older ends nothing: it is an
 * error that stays, also after the work has ended, until the record is there again.
 */
export type RecordWatch = {
  check(): Promise<void>
  /** One sentence each. */
  readonly errors: readonly string[]
}

export function createRecordWatch(deps: {
  readonly held: () => readonly HeldWork[]
  readonly log: Logger
}): RecordWatch {
  const lost = new Map<string, { readonly work: HeldWork; readonly sentence: string }>()

  async function look(work: HeldWork): Promise<void> {
    const { state, found } = await work.compare()
    const { what, run, folder } = work
    if (state === 'newer') work.end()
    if (state !== 'lost') {
      if (lost.delete(what)) deps.log.info({ what, found }, 'Redis has the record again')
      return
    }
    const sentence = lostSentence(what, { run, found, folder })
    if (!lost.has(what)) deps.log.error({ run, found, folder }, sentence)
    lost.set(what, { work, sentence })
  }

  return {
    async check() {
      const held = deps.held()
      const left = [...lost.values()]
        .map(({ work }) => work)
        .filter(({ what }) => !held.some((each) => each.what === what))
      for (const work of [...held, ...left]) await look(work)
    },
    get errors() {
      return [...lost.values()].map(({ sentence }) => sentence)
    },
  }
}
