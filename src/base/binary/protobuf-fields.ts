import type protobufjs from 'protobufjs/minimal.js'
import { type FileBytes, TruncatedError } from './file-bytes.js'

export type Range = { readonly start: number; readonly end: number }
/** One field of a message: where its content lies, and its value if that is a whole number. */
export type Field = Range & { readonly number: number; readonly value: number | undefined }

/** These bytes are no protobuf message, or one that is cut off. */
export class NotProtobufError extends Error {}

const HEAD_BYTES = 20 // a tag and a length, or a number
const VARINT = 0
const FIXED_64 = 1
const DELIMITED = 2
const FIXED_32 = 5

/**
 * The fields of the message in this part of a file, in its order. Contents are skipped by their lengths, so that a model
 * of gigabytes costs a few reads. Throws NotProtobufError.
 */
export async function* readFields(
  file: FileBytes,
  { start, end }: Range,
  options: { readonly maxFields?: number } = {},
): AsyncGenerator<Field, void, void> {
  const { maxFields = Number.POSITIVE_INFINITY } = options
  const { default: protobuf } = await import('protobufjs/minimal.js') // most processes read no model
  let count = 0
  for (let at = start; at < end; ) {
    count += 1
    if (count > maxFields) throw new NotProtobufError(`it has more than ${maxFields} fields`)
    const head = await file.read(at, Math.min(HEAD_BYTES, end - at))
    const field = toField(protobuf.Reader.create(head), at)
    if (field.end > end) throw new NotProtobufError('it is cut off')
    yield field
    at = field.end
  }
}

function toField(reader: protobufjs.Reader, at: number): Field {
  try {
    const tag = reader.uint32()
    const number = tag >>> 3
    if (number === 0) throw new NotProtobufError('it has a field without a number')
    const field = (bytes: number, value?: number): Field => {
      const start = at + reader.pos
      return { number, start, end: start + bytes, value }
    }
    switch (tag & 7) {
      case VARINT:
        return field(0, Number(reader.uint64()))
      case FIXED_64:
        return field(8)
      case FIXED_32:
        return field(4)
      case DELIMITED:
        return field(Number(reader.uint64()))
      default:
        throw new NotProtobufError('it has a field of no known kind')
    }
  } catch (error) {
    if (error instanceof NotProtobufError || error instanceof TruncatedError) throw error
    throw new NotProtobufError('it is cut off', { cause: error }) // what the reader throws beyond its bytes
  }
}
