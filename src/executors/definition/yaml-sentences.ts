import { z } from 'zod'
import { isNear } from '../../base/index.js'

type Issue = z.core.$ZodIssue
type Path = readonly PropertyKey[]

const MAX_SENTENCES = 3

/** What is wrong with a document, in sentences a person can act on: key, value, what is wrong, the way out. */
export function explainIssues(
  issues: readonly Issue[],
  document: unknown,
  schema: z.ZodType,
): { readonly key: string | undefined; readonly text: string } {
  // A key that is missing is often there under a misspelt name, so unknown keys come first.
  const ordered = [...issues.filter(isUnknownKey), ...issues.filter((issue) => !isUnknownKey(issue))]
  const found = ordered.map((issue) => sentenceOfIssue(issue, document, schema))
  const more = found.length > MAX_SENTENCES ? [`(and ${found.length - MAX_SENTENCES} more)`] : []
  const sentences = found.slice(0, MAX_SENTENCES).map(({ sentence }) => sentence)
  return { key: found[0]?.key, text: [...sentences, ...more].join(' ') }
}

function isUnknownKey({ code }: Issue): boolean {
  return code === 'unrecognized_keys'
}

function sentenceOfIssue(
  issue: Issue,
  document: unknown,
  schema: z.ZodType,
): { readonly key: string; readonly sentence: string } {
  const { path, issue: inner } = innermost(issue, issue.path)
  const key = keyText(path)
  if (inner.code === 'unrecognized_keys') {
    return { key, sentence: unknownKeySentence(path, inner.keys, schema) }
  }
  const value = valueAt(document, path)
  if (value === undefined) return { key, sentence: `"${key}" is missing; it ${reason(inner)}.` }
  const shown = `"${key}" is ${shorten(value)}, but it ${reason(inner)}.`
  return { key, sentence: key === '' ? `The file holds ${shorten(value)}, but it ${reason(inner)}.` : shown }
}

/** Of a union's branches the one that the value was meant for: the one that got past the outermost type. */
function innermost(issue: Issue, path: Path): { readonly path: Path; readonly issue: Issue } {
  if (issue.code === 'invalid_union') {
    const branch = issue.errors.find((issues) => issues.some(isDeep)) ?? []
    const deep = branch.find(isDeep)
    if (deep !== undefined && looksMeant(branch)) return innermost(deep, [...path, ...deep.path])
  }
  if (issue.code === 'invalid_key') {
    const deep = issue.issues[0]
    if (deep !== undefined) return { path, issue: deep }
  }
  return { path, issue }
}

function isDeep(issue: Issue): boolean {
  return issue.path.length > 0 || issue.code === 'unrecognized_keys'
}

/** A branch where a key is missing and another one is unknown is a different kind of object altogether. */
function looksMeant(branch: readonly Issue[]): boolean {
  return branch.length === 1
}

function unknownKeySentence(path: Path, keys: readonly string[], schema: z.ZodType): string {
  const unknown = keys[0] ?? ''
  const known = knownKeys(schema, path)
  const where = path.length === 0 ? '' : ` in "${keyText(path)}"`
  const near = known.find((name) => isNear(name, unknown))
  const hint = near === undefined ? '' : `; did you mean "${near}"?`
  const list = known.length === 0 ? '' : ` Known keys: ${known.join(', ')}.`
  return `unknown key "${unknown}"${where}${hint === '' ? '.' : hint}${list}`
}

function knownKeys(schema: z.ZodType, path: Path): string[] {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodUnion) {
    return inner.options.flatMap((option) => (option instanceof z.ZodType ? knownKeys(option, path) : []))
  }
  const [head, ...rest] = path
  if (inner instanceof z.ZodArray && inner.element instanceof z.ZodType) return knownKeys(inner.element, rest)
  if (!(inner instanceof z.ZodObject)) return []
  if (head === undefined) return Object.keys(inner.shape)
  const child: unknown = inner.shape[String(head)]
  return child instanceof z.ZodType ? knownKeys(child, rest) : []
}

function unwrap(schema: z.ZodType): z.ZodType {
  if (!(schema instanceof z.ZodDefault || schema instanceof z.ZodOptional)) return schema
  const inner = schema.unwrap()
  return inner instanceof z.ZodType ? unwrap(inner) : schema
}

function reason(issue: Issue): string {
  const message = issue.message
  if (issue.code === 'invalid_type' && !message.startsWith('must')) return `must be ${kindName(issue.expected)}`
  if (/^(must|may|has|uses|is) /.test(message)) return message
  return `is not accepted (${message})`
}

function kindName(expected: string): string {
  const names: Record<string, string> = {
    string: 'a text',
    int: 'a whole number',
    number: 'a number',
    object: 'a map of keys',
    record: 'a map of keys',
    array: 'a list',
    tuple: 'a list',
  }
  return names[expected] ?? expected
}

function keyText(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? String(part) : `${text}.${String(part)}`
  }, '')
}

function valueAt(document: unknown, path: Path): unknown {
  let value = document
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined
    value = Reflect.get(value, part)
  }
  return value
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
