import { z } from 'zod'
import type { RunStore } from './run-store.js'

/** Digest of the point of metrics that the Loop has acked last, as the record keeps it for every host. */
export type ConfirmedPoint = {
  read(): Promise<string | undefined>
  write(digest: string): Promise<void>
}

const FACT = 'metrics-acked'

export function confirmedPoint(store: Pick<RunStore, 'record' | 'update'>): ConfirmedPoint {
  return {
    read: async () =>
      z
        .string()
        .optional()
        .catch(undefined)
        .parse((await store.record()).facts[FACT]),
    write: (digest) => store.update({ facts: { [FACT]: digest } }),
  }
}
