import { z } from 'zod'
import type { TrainingRecord } from './training-record.js'

/** Name of the fact that holds them. */
const WARNINGS = 'warnings'

const MAX_WARNINGS = 20

/** What people should know of a training's newest run while it goes on. */
const warningsSchema = z.object({ run: z.int(), texts: z.array(z.string()) })

/** Warnings of the newest run; those of earlier ones count no more. */
export function warningsOf(record: Pick<TrainingRecord, 'facts' | 'run'>): readonly string[] {
  const warnings = warningsSchema.safeParse(record.facts[WARNINGS]).data
  return warnings === undefined || warnings.run !== record.run ? [] : warnings.texts
}

/** The fact with one more warning; the first ones stay. */
export function withWarning(texts: readonly string[], warning: string, run: number): Record<string, unknown> {
  const all = texts.includes(warning) ? texts : [...texts, warning].slice(0, MAX_WARNINGS)
  return { [WARNINGS]: { run, texts: all } }
}
