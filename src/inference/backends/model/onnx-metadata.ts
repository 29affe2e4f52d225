import { open } from 'node:fs/promises'
import {
  createFileBytes,
  type Field,
  type FileBytes,
  NotProtobufError,
  readFields,
  TruncatedError,
} from '../../../base/binary/index.js'
import { messageOf } from '../../../base/index.js'
import { InferenceError } from '../../basics/index.js'

/** The entries of a model's metadata that say what its output means. */
const metadataKeys = ['task', 'end2end', 'args', 'names'] as const
type MetadataKey = (typeof metadataKeys)[number]
export type OnnxMetadata = Readonly<Partial<Record<MetadataKey, string>>>

const METADATA_PROPS = 14
const KEY = 1
const VALUE = 2
const MAX_FIELDS = 200_000
const MAX_KEY_BYTES = 100
/** The names of ten thousand classes take less. */
const MAX_VALUE_BYTES = 1024 * 1024

/**
 * Reads the entries of `metadata_props` that we use, which ONNX Runtime does not show. Of the file only the heads of its
 * top-level fields and these entries are read, whatever its size. Throws LF_MODEL_UNREADABLE.
 */
export async function readOnnxMetadata(modelFile: string): Promise<OnnxMetadata> {
  try {
    const file = await open(modelFile, 'r')
    try {
      const { size } = await file.stat()
      return await readEntries(createFileBytes(file, size))
    } finally {
      await file.close()
    }
  } catch (cause) {
    const why = messageOf(cause)
    const problem =
      cause instanceof NotProtobufError || cause instanceof TruncatedError
        ? `is no ONNX model: ${why}`
        : `cannot be read: ${why}`
    throw new InferenceError('LF_MODEL_UNREADABLE', `${modelFile} ${problem}.`, { cause, details: { modelFile } })
  }
}

async function readEntries(file: FileBytes): Promise<OnnxMetadata> {
  const metadata: Partial<Record<MetadataKey, string>> = {}
  for await (const field of readFields(file, { start: 0, end: file.size }, { maxFields: MAX_FIELDS })) {
    if (field.number !== METADATA_PROPS || field.value !== undefined) continue
    const entry = await readEntry(file, field)
    if (entry !== undefined) metadata[entry.key] = entry.value
  }
  return metadata
}

async function readEntry(
  file: FileBytes,
  entry: Field,
): Promise<{ readonly key: MetadataKey; readonly value: string } | undefined> {
  let key: MetadataKey | undefined
  let value: Field | undefined
  for await (const field of readFields(file, entry, { maxFields: MAX_FIELDS })) {
    if (field.value !== undefined) continue
    if (field.number === KEY) key = await readKey(file, field)
    if (field.number === VALUE) value = field
  }
  if (key === undefined || value === undefined) return undefined
  const bytes = value.end - value.start
  if (bytes > MAX_VALUE_BYTES) throw new NotProtobufError(`its metadata "${key}" has ${bytes} bytes`)
  return { key, value: await readText(file, value) }
}

async function readKey(file: FileBytes, field: Field): Promise<MetadataKey | undefined> {
  if (field.end - field.start > MAX_KEY_BYTES) return undefined
  const text = await readText(file, field)
  return metadataKeys.find((key) => key === text)
}

async function readText(file: FileBytes, { start, end }: Field): Promise<string> {
  return (await file.read(start, end - start)).toString('utf8')
}
