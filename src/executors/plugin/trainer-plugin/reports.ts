import { appendFileSync, statSync } from 'node:fs'
import { isAbsolute, relative } from 'node:path'
import type { z } from 'zod'
import type { ConfusionMatrix } from '../../../loop/protocol/index.js'
import { type eventSchema, parseEventLine } from '../../contract/index.js'

/** The reports of a plug-in about its training: the events of docs/reference/trainer-contract.md. */
export type TrainerReports = {
  /** 0 to 1, or null when only the epoch is known. */
  progress(progress: number | null, more?: { epoch?: number; epochs?: number; message?: string }): void
  /** Any numbers of an epoch, for curves. */
  metrics(epoch: number, values: Readonly<Record<string, number>>): void
  /** A new best model whose files are complete; returns up to where the worker must read to know of it. */
  model(model: {
    readonly epoch?: number | undefined
    readonly files: Readonly<Record<string, readonly string[]>>
    /** Counts by category id; left out when nothing was measured. */
    readonly confusionMatrix?: ConfusionMatrix | undefined
    readonly values?: Readonly<Record<string, number>> | undefined
  }): { readonly endOffset: number }
  /** Why the training cannot go on, for people. */
  error(message: string): void
}

/** Reports into the events file; each throws a TypeError for what would be passed over by the worker. */
export function createReports(options: { readonly eventsFile: string; readonly folder: string }): TrainerReports {
  const { eventsFile, folder } = options

  function append(event: z.input<typeof eventSchema>): void {
    const line = JSON.stringify(event)
    const parsed = parseEventLine(line)
    if (!parsed.ok) throw new TypeError(`The event ${event.event} is not as it must be: ${parsed.problem}.`)
    appendFileSync(eventsFile, `${line}\n`)
  }

  return {
    progress: (progress, more = {}) => append({ event: 'progress', progress, ...more }),
    metrics: (epoch, values) => append({ event: 'metrics', epoch, values }),
    model({ epoch, files, confusionMatrix, values }) {
      const inside = (path: string) => (isAbsolute(path) ? relative(folder, path) : path)
      const relativeFiles = Object.entries(files).map(([format, paths]) => [format, paths.map(inside)] as const)
      append({
        event: 'model',
        epoch,
        files: Object.fromEntries(relativeFiles),
        confusion_matrix: confusionMatrix,
        values,
      })
      return { endOffset: statSync(eventsFile).size }
    },
    error: (message) => append({ event: 'error', message }),
  }
}
