import type { FileHandle } from 'node:fs/promises'
import protobuf from 'protobufjs/minimal.js'

/** A field of a message in a file; `start` and `end` are the bytes of its content. */
export type Field = { readonly number: number; readonly wireType: number; readonly start: number; readonly end: number }

/** What does not have the form of a protobuf message. */
export class NotProtobufError extends Error {}

const HEAD_BYTES = 20 // a tag and a length, or a number
const WINDOW_BYTES = 4096
const MAX_FIELDS = 200_000
const VARINT = 0
const FIXED_64 = 1
const DELIMITED = 2
const FIXED_32 = 5

/**
 * The fields of the message that lies between two places of a file, one after the other, without their contents: what a
 * field holds is skipped by its length, so that a model of gigabytes costs a few reads. Throws NotProtobufError.
 */
export async function* readFields(file: FileHandle, start: number, end: number): AsyncGenerator<Field> {
  const window = new Window(file, end)
  let count = 0
  for (let at = start; at < end; ) {
    count += 1
    if (count > MAX_FIELDS) throw new NotProtobufError(`it has more than ${MAX_FIELDS} fields`)
    const field = toField(await window.bytes(at), at)
    if (field.end > end) throw new NotProtobufError(`its field ${field.number} ends beyond its ${end} bytes`)
    yield field
    at = field.end
  }
}

function toField(head: Uint8Array, at: number): Field {
  try {
    const reader = protobuf.Reader.create(head)
    const tag = reader.uint32()
    const shared = { number: tag >>> 3, wireType: tag & 7 }
    if (shared.number === 0) throw new NotProtobufError('it has a field without a number')
    const start = at + reader.pos
    switch (shared.wireType) {
      case VARINT:
        reader.uint64()
        return { ...shared, start, end: at + reader.pos }
      case FIXED_64:
        return { ...shared, start, end: start + 8 }
      case FIXED_32:
        return { ...shared, start, end: start + 4 }
      case DELIMITED: {
        const length = Number(reader.uint64())
        return { ...shared, start: at + reader.pos, end: at + reader.pos + length }
      }
      default:
        throw new NotProtobufError(`its field ${shared.number} has an unknown form`)
    }
  } catch (error) {
    if (error instanceof NotProtobufError) throw error
    throw new NotProtobufError('it ends within a field') // what the reader throws beyond its bytes
  }
}

/** Keeps a piece of the file, since small fields lie side by side. */
class Window {
  readonly #file: FileHandle
  readonly #end: number
  readonly #buffer = Buffer.alloc(WINDOW_BYTES)
  #start = 0
  #length = 0

  constructor(file: FileHandle, end: number) {
    this.#file = file
    this.#end = end
  }

  /** The next bytes from this place on, at most as many as a head can have. */
  async bytes(at: number): Promise<Uint8Array> {
    const wanted = Math.min(HEAD_BYTES, this.#end - at)
    if (at < this.#start || at + wanted > this.#start + this.#length) {
      this.#start = at
      const most = Math.min(WINDOW_BYTES, this.#end - at)
      this.#length = (await this.#file.read(this.#buffer, 0, most, at)).bytesRead
    }
    const from = at - this.#start
    return this.#buffer.subarray(from, Math.min(from + wanted, this.#length))
  }
}
