import type { Journal } from '../queue/journal.js'
import { RecordLostError } from '../queue/journal-errors.js'
import type { RunStore } from './run-store.js'

/** The record of a run as the journal keeps it. */
export function journalStore(
  journal: Journal,
  { id, run, hostId }: { readonly id: string; readonly run: number; readonly hostId?: string },
): RunStore {
  return {
    async record() {
      const record = await journal.load(id)
      if (record === undefined) throw new RecordLostError({ what: `training ${id}`, run, found: null })
      return record
    },
    update: (patch) => journal.update(id, run, patch),
    checkFence: () => journal.checkRun(id, run, hostId),
    addPoints: (points) => journal.addPoints(id, points),
    appendLog: (text) => journal.appendLog(id, text),
  }
}
