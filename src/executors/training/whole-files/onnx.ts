import {
  type Field,
  type FileBytes,
  NotProtobufError,
  type Range,
  readFields,
  TruncatedError,
} from '../../../base/binary/index.js'

/** A file beside the model, and how many bytes it must have at least. */
export type NeededFile = { readonly name: string; readonly bytes: number }

const MAX_DEPTH = 32
const FIRST_VERSION_WITH_OPSETS = 3
const EXTERNAL = 1

// Field numbers of onnx.proto, by message: which of their fields lead to tensors.
const MODEL = { irVersion: 1, graph: 7, opsets: 8, training: 20, functions: 25 }
const LEADS = {
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  training: { 1: 'graph', 2: 'graph' },
  function: { 7: 'node', 11: 'attribute' },
} as const satisfies Record<string, Readonly<Record<number, string>>>
type Kind = keyof typeof LEADS | 'tensor'

/**
 * What an ONNX model lacks to be whole, read by its top-level fields to the end, and which files its tensors lie in. A
 * file that is cut off between two fields looks whole: it must have rested as well.
 */
export async function readOnnx(
  file: FileBytes,
): Promise<{ readonly problem: string } | { readonly needs: readonly NeededFile[] }> {
  try {
    return await readModel(file)
  } catch (error) {
    if (error instanceof NotProtobufError || error instanceof TruncatedError) return { problem: error.message }
    throw error
  }
}

async function readModel(file: FileBytes) {
  const needs = new Map<string, number>()
  let irVersion = 0
  const seen = new Set<number>()
  for await (const field of readFields(file, { start: 0, end: file.size })) {
    seen.add(field.number)
    if (field.number === MODEL.irVersion) irVersion = field.value ?? 0
    if (field.number === MODEL.graph) await collect(file, 'graph', field, needs, 0)
    if (field.number === MODEL.training) await collect(file, 'training', field, needs, 0)
    if (field.number === MODEL.functions) await collect(file, 'function', field, needs, 0)
  }
  if (!seen.has(MODEL.graph)) return { problem: 'its graph is not there yet' }
  if (irVersion >= FIRST_VERSION_WITH_OPSETS && !seen.has(MODEL.opsets))
    return { problem: 'it ends before its operator sets' }
  return { needs: [...needs].map(([name, bytes]) => ({ name, bytes })) }
}

async function collect(
  file: FileBytes,
  kind: Kind,
  range: Range,
  needs: Map<string, number>,
  depth: number,
): Promise<void> {
  if (depth > MAX_DEPTH) throw new NotProtobufError('it is nested too deep')
  if (kind === 'tensor') return await readTensor(file, range, needs)
  const leads: Readonly<Record<number, Kind>> = LEADS[kind]
  for await (const field of readFields(file, range)) {
    const next = leads[field.number]
    if (next !== undefined && field.value === undefined) await collect(file, next, field, needs, depth + 1)
  }
}

async function readTensor(file: FileBytes, range: Range, needs: Map<string, number>): Promise<void> {
  const entries: Field[] = []
  let isExternal = false
  for await (const field of readFields(file, range)) {
    if (field.number === 13) entries.push(field)
    if (field.number === 14) isExternal = field.value === EXTERNAL
  }
  if (!isExternal) return
  const facts = new Map<string, string>()
  for (const entry of entries) {
    const texts: string[] = ['', '']
    for await (const field of readFields(file, entry)) {
      if (field.number > 2 || field.value !== undefined || field.end - field.start > 4096) continue
      texts[field.number - 1] = (await file.read(field.start, field.end - field.start)).toString('utf8')
    }
    facts.set(texts[0] ?? '', texts[1] ?? '')
  }
  const name = facts.get('location') ?? ''
  const bytes = Number(facts.get('offset') ?? 0) + Number(facts.get('length') ?? 0)
  needs.set(name, Math.max(needs.get(name) ?? 0, Number.isSafeInteger(bytes) ? bytes : 0))
}
