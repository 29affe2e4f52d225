import { z } from 'zod'

/** A model that is to be served, as the Loop names it. */
export type ModelTarget = { readonly id: string; readonly version: string }

const MAX_LENGTH = 100
const VERSION = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/

/** Whether a version can name a folder of ours. */
export function isVersionName(text: string): boolean {
  return text.length <= MAX_LENGTH && VERSION.test(text) && !text.includes('..') && !text.endsWith('.')
}

export const modelTargetSchema = z.strictObject({
  id: z.string().min(1).max(200),
  version: z.string().refine(isVersionName, 'is no version'),
})

export function isSameModel(one: ModelTarget | null, other: ModelTarget | null): boolean {
  if (one === null || other === null) return one === other
  return one.version === other.version && one.id === other.id
}

/** Numbers inside versions count as numbers: 1.9 comes before 1.10. */
export function compareVersions(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true })
}
