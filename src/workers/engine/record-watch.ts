import { access } from 'node:fs/promises'
import { hasCode } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { lostSentence, type RunInRedis } from '../../queue/index.js'

/** Work of this host, and how to compare it with its record. */
export type HeldWork = {
  /** For people: `training x`. */
  readonly what: string
  readonly run: number
  readonly folder: string
  compare(): Promise<RunInRedis>
  /** Called when a newer run has begun. */
  end(): void
}

/**
 * Checks whether Redis still has the records of the work of this host. A missing or older record does not end the work: it is
 * an error that is reported, also after the work has ended, until the record is back or its files were deleted.
 */
export type RecordWatch = {
  check(): Promise<void>
  /** One sentence each. */
  readonly errors: readonly string[]
  /** The folders of the work in these errors. */
  readonly folders: readonly string[]
}

export function createRecordWatch(deps: {
  readonly held: () => readonly HeldWork[]
  readonly log: Logger
}): RecordWatch {
  const lost = new Map<string, { readonly work: HeldWork; readonly sentence: string }>()

  async function checkOne(work: HeldWork): Promise<void> {
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

  function forget({ what, folder }: HeldWork): void {
    lost.delete(what)
    deps.log.info({ what, folder }, 'files without a record are gone')
  }

  return {
    async check() {
      const held = deps.held()
      const left = [...lost.values()]
        .map(({ work }) => work)
        .filter(({ what }) => !held.some((each) => each.what === what))
      for (const work of held) await checkOne(work)
      for (const work of left) {
        if (await isThere(work.folder)) await checkOne(work)
        else forget(work)
      }
    },
    get errors() {
      return [...lost.values()].map(({ sentence }) => sentence)
    },
    get folders() {
      return [...lost.values()].map(({ work }) => work.folder)
    },
  }
}

/** Also true if the folder cannot be read. */
async function isThere(folder: string): Promise<boolean> {
  return await access(folder).then(
    () => true,
    (error: unknown) => !hasCode(error, 'ENOENT'),
  )
}
