import { z } from 'zod'
import type { Journal } from '../queue/journal.js'

/** Digest of the point of metrics that the Loop has acked last, as the journal keeps it for every host. */
export type ConfirmedPoint = {
  read(): Promise<string | undefined>
  write(digest: string): Promise<void>
}

const FACT = 'metrics-acked'

export function confirmedPoint(journal: Pick<Journal, 'load' | 'update'>, id: string, run: number): ConfirmedPoint {
  return {
    read: async () =>
      z
        .string()
        .optional()
        .catch(undefined)
        .parse((await journal.load(id))?.facts[FACT]),
    write: (digest) => journal.update(id, run, { facts: { [FACT]: digest } }),
  }
}
