import { InferenceError } from '../../basics/index.js'
import { type OnnxMetadata, readOnnxMetadata } from './onnx-metadata.js'
import { type PythonValue, parsePythonLiteral } from './python-literal.js'

/** Tasks of the exporters whose outputs we read. */
const readableTasks = ['detect', 'segment', 'classify'] as const
type ReadableTask = (typeof readableTasks)[number]

/** What a model's own metadata say of its output. */
export type ModelFacts = {
  readonly task?: ReadableTask
  /** Its boxes need no suppression any more; undefined if nothing is said about it. */
  readonly isFinished?: boolean
  /** Of its classes, in the order of the outputs. */
  readonly names?: readonly string[]
}

const LATER_TASKS = ['pose', 'obb']
const MAX_CLASSES = 100_000

/** Throws LF_MODEL_LAYOUT for a task that cannot be read, and LF_MODEL_UNREADABLE. */
export async function readModelFacts(modelFile: string): Promise<ModelFacts> {
  return toModelFacts(await readOnnxMetadata(modelFile), modelFile)
}

/** @internal since its test has a table of metadata, without a model file for each. */
export function toModelFacts(metadata: OnnxMetadata, modelFile: string): ModelFacts {
  const task = toTask(metadata.task, modelFile)
  const isFinished = finishedOf(metadata, task)
  const names = metadata.names === undefined ? undefined : toNames(metadata.names, modelFile)
  return {
    ...(task !== undefined && { task }),
    ...(isFinished !== undefined && { isFinished }),
    ...(names !== undefined && { names }),
  }
}

function toTask(text: string | undefined, modelFile: string): ReadableTask | undefined {
  if (text === undefined) return undefined
  const name = text.trim().toLowerCase()
  const task = readableTasks.find((one) => one === name)
  if (task !== undefined) return task
  const shown = JSON.stringify(name.slice(0, 60))
  const when = LATER_TASKS.includes(name) ? ' yet' : ''
  throw new InferenceError(
    'LF_MODEL_LAYOUT',
    `${modelFile} is a model of the task ${shown}, which cannot be read${when}; deploy one of ${readableTasks.join(', ')}.`,
    { details: { modelFile, task: name.slice(0, 60) } },
  )
}

/** `end2end` or the argument `nms` of the export; a model of a known task that has neither is not finished. */
function finishedOf({ end2end, args }: OnnxMetadata, task: ReadableTask | undefined): boolean | undefined {
  if (isTrue(readValue(end2end))) return true
  const given = readValue(args)
  if (given instanceof Map && isTrue(given.get('nms'))) return true
  return task === undefined && end2end === undefined ? undefined : false
}

function isTrue(value: PythonValue | undefined): boolean {
  return value === true || value === 1 || (typeof value === 'string' && /^(true|1)$/i.test(value))
}

/** A dict of numbers to names, or a list of names, as Python or as JSON; every class must have one. */
function toNames(text: string, modelFile: string): string[] {
  const value = readValue(text)
  const entries: (readonly [unknown, unknown])[] | undefined =
    value instanceof Map ? [...value] : Array.isArray(value) ? value.map((name, index) => [index, name]) : undefined
  if (entries === undefined || entries.length === 0) throw badNames(text, modelFile)
  const names: string[] = []
  for (const [key, name] of entries) {
    const index = typeof key === 'string' && key.trim() !== '' ? Number(key) : key
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= MAX_CLASSES) {
      throw badNames(text, modelFile)
    }
    names[index] = nameOf(name) ?? rethrow(badNames(text, modelFile))
  }
  if (names.length !== entries.length) throw badNames(text, modelFile) // a class without a name, or one with two
  return names
}

/** A number or a Python boolean is what YAML made of a name such as `7` or `on`. */
function nameOf(name: unknown): string | undefined {
  if (typeof name === 'boolean') return name ? 'True' : 'False'
  return typeof name === 'string' || typeof name === 'number' ? String(name) : undefined
}

function rethrow(error: InferenceError): never {
  throw error
}

function badNames(text: string, modelFile: string): InferenceError {
  const shown = JSON.stringify(text.length <= 100 ? text : `${text.slice(0, 97)}...`)
  return new InferenceError(
    'LF_MODEL_LAYOUT',
    `The metadata of ${modelFile} name its classes as ${shown}; they must be a name for each number from 0 on.`,
    { details: { modelFile } },
  )
}

/** As JSON or as a Python literal; a text that is neither is itself. */
function readValue(text: string | undefined): PythonValue | undefined {
  if (text === undefined) return undefined
  try {
    return fromJson(JSON.parse(text))
  } catch {
    return parsePythonLiteral(text) ?? text.trim() // Python's words are no JSON
  }
}

function fromJson(value: unknown): PythonValue {
  if (Array.isArray(value)) return value.map(fromJson)
  if (typeof value === 'object' && value !== null) {
    return new Map(Object.entries(value).map(([key, one]) => [key, fromJson(one)]))
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
}
