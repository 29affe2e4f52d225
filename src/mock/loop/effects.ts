import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { openJsonLog } from './store/json-log.js'

export const effectKinds = [
  'metrics',
  'training-model',
  'converted-model',
  'project-model',
  'detections',
  'image-upload',
  'annotation',
] as const
export type EffectKind = (typeof effectKinds)[number]

const effectSchema = z.object({
  kind: z.enum(effectKinds),
  /** What it happened to, e.g. `acme/demo#7/onnx` or `acme/demo/<image>@1.3`. */
  key: z.string(),
  /** The how-many-th of this kind and key it is, from 1. */
  count: z.int(),
  time: z.number(),
  /** SHA-256 of the payload: the same digest again is a repetition, another one a change. */
  digest: z.string(),
})
export type Effect = z.infer<typeof effectSchema>

/** The record of all that nodes did to this Loop's state; repetitions are recorded too. */
export type Effects = {
  record(kind: EffectKind, entries: readonly { readonly key: string; readonly digest: string }[]): Promise<void>
  list(filter?: { readonly kind?: EffectKind; readonly key?: string }): readonly Effect[]
  drained(): Promise<void>
}

export async function openEffects(folder: string, deps: { readonly now: () => number }): Promise<Effects> {
  const effects: Effect[] = []
  const counts = new Map<string, number>()
  const keep = (effect: Effect) => {
    effects.push(effect)
    counts.set(`${effect.kind} ${effect.key}`, effect.count)
  }
  const log = await openJsonLog(join(folder, 'effects.jsonl'), effectSchema, keep)
  return {
    record: async (kind, entries) => {
      const added = entries.map(({ key, digest }) => {
        const effect = { kind, key, count: (counts.get(`${kind} ${key}`) ?? 0) + 1, time: deps.now(), digest }
        keep(effect)
        return effect
      })
      await log.append(added)
    },
    list: ({ kind, key } = {}) =>
      effects.filter((effect) => (kind ?? effect.kind) === effect.kind && (key ?? effect.key) === effect.key),
    drained: () => log.drained(),
  }
}

/** Digest of a JSON value; the order of keys does not matter. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value, sortKeys)).digest('hex')
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
