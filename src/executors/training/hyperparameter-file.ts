import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Document, isMap, isScalar, parseDocument, Scalar, type ScalarTag, visit } from 'yaml'
import { messageOf, writeFileAtomic } from '../../base/index.js'
import type { TrainingOrder } from '../../loop/protocol/index.js'
import { TrainerFileError } from '../contract/index.js'
import { escapeForPython } from '../dataset/index.js'
import { convertHyperparameter, type TrainerDefinition } from '../definition/index.js'
import { hyperparameterTexts, notPossible, on } from '../program/index.js'

type FileOwner = Pick<TrainerDefinition, 'folder' | 'file' | 'hyperparameter_file'>
type Written = FileOwner & Pick<TrainerDefinition, 'name' | 'hyperparameters'>

export type HyperparameterFileOptions = {
  readonly definition: Written
  readonly workspace: string
  readonly order: Pick<TrainingOrder, 'hyperparameters' | 'categories'>
}

/**
 * Writes the file of `hyperparameter_file` into the workspace: the defaults, with every key that the order has too
 * overwritten by the order's value in the default's type, then what `set` adds. Throws LF_ORDER_NOT_POSSIBLE.
 */
export async function writeHyperparameterFile({ definition, workspace, order }: HyperparameterFileOptions) {
  const wanted = definition.hyperparameter_file
  if (wanted === undefined) return
  const document = await readDefaults(definition, wanted.defaults)
  for (const [name, node] of scalarsOf(document)) {
    if (!Object.hasOwn(order.hyperparameters, name)) continue
    const value = convert(definition.name, { name, node, value: order.hyperparameters[name] })
    if (value !== undefined) document.set(name, Object.assign(value, { comment: node.comment }))
  }
  const conditions = new Set(on(hyperparameterTexts(definition, order)))
  for (const { if: condition, then: values } of wanted.set) {
    if (!conditions.has(condition)) continue
    for (const [name, value] of Object.entries(values)) document.set(keyFor(document, name), toScalar(value))
  }
  await writeFileAtomic(join(workspace, wanted.file), escapeForPython(document.toString({ lineWidth: 0 })))
}

/** The keys that an order can overwrite in the file; none without one. Throws LF_BAD_TRAINER_FILE. */
export async function hyperparameterFileNames(definition: FileOwner): Promise<string[]> {
  const wanted = definition.hyperparameter_file
  if (wanted === undefined) return []
  return scalarsOf(await readDefaults(definition, wanted.defaults)).map(([name]) => name)
}

async function readDefaults(definition: FileOwner, defaults: string): Promise<Document> {
  const path = resolve(definition.folder, defaults)
  const { file } = definition
  const key = 'hyperparameter_file.defaults'
  let source: string
  try {
    source = await readFile(path, 'utf8')
  } catch (cause) {
    throw new TrainerFileError(`"${key}": ${path} cannot be read: ${messageOf(cause)}.`, { file, key }, cause)
  }
  // Python scripts read YAML 1.1, in which `yes` is true and `010` is eight.
  const document = parseDocument(source, { version: '1.1', customTags: (tags) => [...tags, asWritten] })
  const error = document.errors[0]
  if (error !== undefined || !isMap(document.contents)) {
    const problem = error?.message.split('\n')[0] ?? 'it is no map of keys'
    throw new TrainerFileError(`"${key}": ${path} cannot be used: ${problem}.`, { file, key }, error)
  }
  visit(document, { Scalar: (_key, node) => keepAsWritten(node) })
  return document
}

const AS_WRITTEN = 'AS_WRITTEN'
// Numbers leave as they came: `1.0e-4` would be written as `1e-4`, which Python's reader takes for a text.
const asWritten: ScalarTag = {
  tag: 'tag:yaml.org,2002:float',
  default: true,
  format: AS_WRITTEN,
  test: /(?!)/,
  resolve: Number,
  identify: (value) => typeof value === 'number',
  stringify: (item) => String(item.source ?? item.value),
}

function keepAsWritten(node: Scalar): void {
  if (typeof node.value === 'number' && node.source !== undefined) node.format = AS_WRITTEN
}

/** The keys an order can overwrite; lists and maps stay as they are. */
function scalarsOf(document: Document): [string, Scalar][] {
  if (!isMap(document.contents)) return []
  return document.contents.items.flatMap(({ key, value }) => {
    const name = isScalar(key) ? String(key.value) : undefined
    return name !== undefined && isScalar(value) ? [[name, value]] : []
  })
}

type Overwriting = { readonly name: string; readonly node: Scalar; readonly value: unknown }

function convert(trainer: string, { name, node, value }: Overwriting): Scalar | undefined {
  const type = typeOf(node, value)
  const converted = convertHyperparameter({ type, values: 'number' }, value, [])
  if (!converted.ok) throw notPossible(trainer, { name, value, problem: converted.problem })
  const { text } = converted
  if (text === undefined) return undefined
  const parsed = type === 'text' ? text : type === 'bool' ? text === 'true' : Number(text)
  return type === 'number' ? toFloat(Number(text)) : toScalar(parsed)
}

function typeOf({ value, source = '' }: Scalar, ordered: unknown): 'int' | 'number' | 'bool' | 'text' {
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'string') return 'text'
  if (typeof value !== 'number') return plainType(ordered) // the default is null, so the order's own type counts
  return Number.isInteger(value) && !/\.|^[-+]?[\d_]+e/i.test(source) ? 'int' : 'number'
}

function plainType(ordered: unknown): 'number' | 'bool' | 'text' {
  return typeof ordered === 'number' ? 'number' : typeof ordered === 'boolean' ? 'bool' : 'text'
}

/** A new key is quoted as texts are: `=` or `on` would be something else. */
function keyFor(document: Document, name: string): string | Scalar {
  return document.has(name) ? name : toScalar(name)
}

function toScalar(value: number | boolean | string): Scalar {
  const scalar = new Scalar(value)
  // Quoted always: an unquoted text could be read as something else, `off` as false for one.
  if (typeof value === 'string') scalar.type = Scalar.QUOTE_DOUBLE
  return typeof value === 'number' && !Number.isInteger(value) ? toFloat(value) : scalar
}

/** Python's reader takes `1e-7` for a text and `3` for a whole number; `1.0e-7` and `3.0` are floats everywhere. */
function toFloat(value: number): Scalar {
  const plain = String(value)
  const [digits = plain, exponent] = plain.split('e')
  const mantissa = digits.includes('.') ? digits : `${digits}.0`
  const source = exponent === undefined ? mantissa : `${mantissa}e${exponent}`
  return Object.assign(new Scalar(value), { source, format: AS_WRITTEN })
}
