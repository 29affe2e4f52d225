import type { z } from 'zod'

export type ProtocolErrorCode = 'LF_BAD_ORDER' | 'LF_BAD_MESSAGE' | 'LF_BAD_PATH' | 'LF_BAD_LOOP_HOST'

/** Something that does not keep to the Loop's protocol; the message names the field, the value and the way out. */
export class ProtocolError extends Error {
  static {
    this.prototype.name = 'ProtocolError' // inherited, so it is no own key in logs
  }
  readonly code: ProtocolErrorCode
  readonly details: Readonly<Record<string, unknown>>
  /** What is malformed stays malformed: trying again does not help. */
  readonly failure = 'fatal' as const

  constructor(code: ProtocolErrorCode, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.code = code
    this.details = details
  }
}

/** Parses the unknown; throws LF_BAD_MESSAGE with `what` and the first wrong field, e.g. `models: models must be …`. */
export function parseMessage<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new ProtocolError('LF_BAD_MESSAGE', `${what}: ${describeError(parsed.error, value)}`, { what })
}

/** One sentence about the first thing wrong with `input`: `categories[0].id must be a string, got 7.` */
export function describeError(error: z.ZodError, input: unknown): string {
  const first = error.issues[0]
  if (first === undefined) return 'it is not valid.'
  const issue = innermost(first)
  const field = fieldName(issue.path) || 'the message'
  return `${field} ${demandOf(issue)}, got ${shown(valueAt(input, issue.path))}.`
}

/** A value for a sentence: JSON, at most 60 characters, `nothing` when missing. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') return typeof value
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  const text = JSON.stringify(value)
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`
}

const DEMANDS: Readonly<Record<string, string>> = {
  string: 'a string',
  int: 'an integer',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  Uint8Array: 'bytes',
}

/** What zod says about a union whose schema has no sentence of its own. */
const UNNAMED = 'Invalid input'

function demandOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${DEMANDS[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`
    case 'too_small':
      return issue.origin === 'string' ? 'must not be empty' : `must be at least ${issue.minimum}`
    case 'too_big':
      return `must be at most ${issue.maximum}${issue.origin === 'string' ? ' characters long' : ''}`
    case 'unrecognized_keys':
      return `has unknown keys (${issue.keys.join(', ')})`
    case 'invalid_union':
      return issue.message === UNNAMED && issue.errors.length > 0 ? 'has none of the allowed forms' : issue.message
    default:
      return issue.message
  }
}

// A union reports one list of issues per member; the member that got furthest is what the sender meant.
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue
  const nested = issue.errors.flat().filter((inner) => inner.path.length > 0)
  const deepest = nested.toSorted((a, b) => b.path.length - a.path.length)[0]
  return deepest === undefined ? issue : innermost({ ...deepest, path: [...issue.path, ...deepest.path] })
}

function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, key) => {
    if (typeof key === 'number') return `${name}[${key}]`
    return name === '' ? String(key) : `${name}.${String(key)}`
  }, '')
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    return (value as Record<PropertyKey, unknown>)[key]
  }, input)
}
