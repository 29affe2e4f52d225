import { z } from 'zod'
import { RecordInvalidError, RecordTooNewError } from './record-errors.js'
import {
  type FleetRecord,
  type PayloadDefinition,
  type RecordHead,
  type RecordKind,
  recordHeadSchema,
  recordKinds,
} from './record-schema.js'

const PAYLOAD = 'data:'

/** Fields and values of a payload, in turns, as HSET takes them; every value is JSON. */
export function toPayloadPairs<T extends object>(payload: Partial<T>, { spread = [] }: PayloadDefinition<T>): string[] {
  const isSpread = new Set<string>(spread)
  return Object.entries(payload).flatMap(([key, value]: [string, unknown]) => {
    if (value === undefined) return []
    if (!isSpread.has(key)) return [`${PAYLOAD}${key}`, JSON.stringify(value)]
    return Object.entries(Object(value)).flatMap(([part, each]: [string, unknown]) =>
      each === undefined ? [] : [`${PAYLOAD}${key}:${part}`, JSON.stringify(each)],
    )
  })
}

/**
 * Reads a record; undefined when there is none of this kind. Throws LF_RECORD_TOO_NEW for one that a newer build has written, which is
 * never half-read, and LF_RECORD_INVALID.
 */
export function parseRecord<T extends object>(
  key: string,
  hash: Readonly<Record<string, string>>,
  definition: PayloadDefinition<T>,
  protocol: number,
): FleetRecord<T> | undefined {
  if (Object.keys(hash).length === 0 || isOfAnotherKind(hash, definition)) return undefined
  try {
    const head = parseHead(hash, protocol)
    return { ...head, payload: parsePayload(hash, definition) }
  } catch (error) {
    if (error instanceof RecordTooNewError) throw error
    throw new RecordInvalidError(key, error)
  }
}

// Ids of all kinds are in one place, and people give them.
function isOfAnotherKind(hash: Readonly<Record<string, string>>, { kind }: { readonly kind: RecordKind }): boolean {
  return recordKinds.some((other) => other !== kind && other === hash.kind)
}

/** The generic part alone. The protocol number is read before all else. */
export function parseHead(hash: Readonly<Record<string, string | null>>, protocol: number): RecordHead {
  const written = versionSchema.parse(hash.protocol)
  if (written > protocol) throw new RecordTooNewError({ id: String(hash.id), written, reads: protocol })
  return recordHeadSchema.parse(hash)
}

const versionSchema = z
  .string()
  .regex(/^\d+$/)
  .transform((text) => Number(text))

// `fromEntries` defines: a part may be called "__proto__".
function parsePayload<T extends object>(
  hash: Readonly<Record<string, string>>,
  { schema, spread = [] }: PayloadDefinition<T>,
): T {
  const whole: [string, unknown][] = []
  const parts = new Map<string, [string, unknown][]>(spread.map((key) => [key, []]))
  for (const [field, text] of Object.entries(hash)) {
    if (!field.startsWith(PAYLOAD)) continue
    const name = field.slice(PAYLOAD.length)
    const colon = name.indexOf(':')
    const ofPart = colon < 0 ? undefined : parts.get(name.slice(0, colon))
    if (ofPart === undefined) whole.push([name, JSON.parse(text)])
    else ofPart.push([name.slice(colon + 1), JSON.parse(text)])
  }
  for (const [key, entries] of parts) whole.push([key, Object.fromEntries(entries)])
  return schema.parse(Object.fromEntries(whole))
}

/** What HGETALL answers within a script. */
export function toHash(flat: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index] ?? '', flat[2 * index + 1] ?? '']),
  )
}
