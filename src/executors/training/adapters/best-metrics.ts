import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { type Category, type ConfusionMatrix, classMetricsSchema } from '../../../loop/protocol/index.js'
import { parsePythonJson } from '../../contract/index.js'

/** `ignored` are the names whose counts cannot be used: of no category, or no counts. */
export type BestMetrics = { readonly matrix: ConfusionMatrix; readonly ignored: readonly string[] }

const byNameSchema = z.record(z.string(), z.unknown())

/** Reads `{category name: {tp, fp, fn}}`, keyed by id in the answer; undefined while the file is missing or half written. */
export async function readBestMetrics(path: string, categories: readonly Category[]): Promise<BestMetrics | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  const counts = byNameSchema.safeParse(text === undefined ? undefined : parsePythonJson(text))
  if (!counts.success) return undefined
  const ids = idsByName(categories)
  const known = Object.entries(counts.data).flatMap(([name, value]) => {
    const [id, metrics] = [ids.get(name), classMetricsSchema.safeParse(value)]
    return id !== undefined && metrics.success ? [{ name, id, metrics: metrics.data }] : []
  })
  const used = new Set(known.map(({ name }) => name))
  return {
    matrix: Object.fromEntries(known.map(({ id, metrics }) => [id, metrics])),
    ignored: Object.keys(counts.data).filter((name) => !used.has(name)),
  }
}

/** Of two categories with one name the first gets the counts: the script knows them by name only. */
function idsByName(categories: readonly Category[]): Map<string, string> {
  return new Map(categories.toReversed().map(({ name, id }) => [name, id]))
}
