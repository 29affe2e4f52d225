import type { Readable, Writable } from 'node:stream'
import { InferenceError } from '../../basics/index.js'

/** A frame: two big-endian numbers of four bytes (how long header and body are), the header as JSON, the body. */
const PREFIX_BYTES = 8
const MOST_BYTES = 64 * 1024 * 1024

/** Writes one frame; the pieces are the body, and are not copied. */
export function writeFrame(stream: Writable, header: object, pieces: readonly Uint8Array[] = []): void {
  const text = Buffer.from(JSON.stringify(header))
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix.writeUInt32BE(text.length, 0)
  prefix.writeUInt32BE(
    pieces.reduce((sum, piece) => sum + piece.byteLength, 0),
    4,
  )
  stream.cork()
  stream.write(prefix)
  stream.write(text)
  for (const piece of pieces) stream.write(piece)
  stream.uncork()
}

/** The headers a program writes; a body of its own has no meaning and is passed over. Throws LF_BACKEND_UNUSABLE. */
export async function* readFrames(stream: Readable): AsyncGenerator<unknown> {
  let chunks: Buffer[] = []
  let held = 0
  let wanted = PREFIX_BYTES
  for await (const chunk of stream) {
    if (!Buffer.isBuffer(chunk)) continue
    chunks.push(chunk)
    held += chunk.length
    while (held >= wanted) {
      const data: Buffer = chunks.length === 1 ? (chunks[0] ?? chunk) : Buffer.concat(chunks, held)
      const [headerBytes, bodyBytes] = [data.readUInt32BE(0), data.readUInt32BE(4)]
      if (headerBytes + bodyBytes > MOST_BYTES) throw broken(`a frame of ${headerBytes + bodyBytes} bytes`)
      wanted = PREFIX_BYTES + headerBytes + bodyBytes
      if (held < wanted) {
        chunks = [data]
        break
      }
      yield parseHeader(data.subarray(PREFIX_BYTES, PREFIX_BYTES + headerBytes))
      chunks = [data.subarray(wanted)]
      held -= wanted
      wanted = PREFIX_BYTES
    }
  }
}

function parseHeader(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString('utf8'))
  } catch (cause) {
    throw broken('a header that is not JSON', cause)
  }
}

function broken(what: string, cause?: unknown): InferenceError {
  return new InferenceError('LF_BACKEND_UNUSABLE', `The detector program wrote ${what}.`, { cause, failure: 'program' })
}
