import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { hasCode, readJsonFile, safePathSegment, writeJsonFile } from '../base/index.js'
import type { Logger } from '../base/logger/index.js'
import { type Claim, type TrainingPayload, type Trainings, trainingPayloadSchema } from '../queue/index.js'

const endSchema = trainingPayloadSchema.omit({ order: true, seat: true, endAckedAt: true })
const noteSchema = z.object({
  id: z.string(),
  born: z.string(),
  run: z.int().min(1),
  outcome: z.string(),
  at: z.number(),
  payload: endSchema,
})
type Note = z.infer<typeof noteSchema>

/**
 * Ends of trainings that Redis has confirmed, on the disk of their host. A Redis that does not write every change to its disk immediately may come
 * back from a crash without the last ones, and the training would be trained again.
 */
export type EndedRuns = {
  /** On disk when it resolves. */
  note(claim: Claim, outcome: string, payload: TrainingPayload): Promise<void>
  /** Writes those ends again that Redis has lost; a training that was retried or removed since is left alone. */
  restore(): Promise<void>
}

const FOLDER = 'ended-runs'
/** As long as Redis keeps what somebody wants of a record that it has lost. */
const KEPT_MS = 7 * 86_400_000

export function createEndedRuns(
  { dataFolder, hostId }: { readonly dataFolder: string; readonly hostId: string },
  deps: { readonly trainings: Pick<Trainings, 'records'>; readonly log: Logger; readonly now?: () => number },
): EndedRuns {
  const { trainings, log, now = Date.now } = deps
  const folder = join(dataFolder, FOLDER)
  const fileOf = (id: string) => join(folder, `${safePathSegment(id)}.json`)

  async function notes(): Promise<readonly Note[]> {
    const found: Note[] = []
    for (const name of await namesIn(folder)) {
      const note = await readJsonFile(join(folder, name), noteSchema).catch((error: unknown) => {
        log.warn({ err: error, name }, 'note of an ended run unreadable')
        return undefined
      })
      if (note === undefined) continue
      if (now() - note.at > KEPT_MS) await rm(fileOf(note.id), { force: true })
      else found.push(note)
    }
    return found
  }

  return {
    async note({ id, born, run }, outcome, payload) {
      await writeJsonFile(fileOf(id), { id, born, run, outcome, at: now(), payload: endSchema.parse(payload) })
    },
    async restore() {
      for (const { id, born, run, outcome, payload } of await notes()) {
        const isRestored = await trainings.records.endAgain({ id, born, run, host: hostId }, outcome, payload)
        if (isRestored)
          log.warn({ trainingId: id, run, outcome }, 'end of a training written again, since Redis has lost it')
      }
    },
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith('.json') && !name.startsWith('.'))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}
