import type { Duplex } from 'node:stream'

const CONTINUATION = 0
const TEXT = 1

/** Calls `onText` for every text message that passes in this direction of an upgraded connection. */
export function readWebSocketTexts(from: Duplex, onText: (text: string) => void): void {
  let rest = Buffer.alloc(0)
  let message = ''
  from.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    for (let frame = takeFrame(rest); frame !== undefined; frame = takeFrame(rest)) {
      rest = rest.subarray(frame.size)
      if (frame.opcode !== TEXT && frame.opcode !== CONTINUATION) continue
      message += frame.payload.toString('utf8')
      if (!frame.isLast) continue
      onText(message)
      message = ''
    }
  })
}

type Frame = {
  readonly opcode: number
  readonly isLast: boolean
  readonly payload: Buffer
  readonly size: number
}

/** The first frame (RFC 6455, section 5.2); undefined while it is not all there. */
function takeFrame(bytes: Buffer): Frame | undefined {
  if (bytes.length < 2) return undefined
  const isMasked = (bytes.readUInt8(1) & 0x80) !== 0
  const short = bytes.readUInt8(1) & 0x7f
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0
  const maskAt = 2 + lengthBytes
  const payloadAt = maskAt + (isMasked ? 4 : 0)
  if (bytes.length < payloadAt) return undefined
  const length =
    lengthBytes === 0 ? short : bytes.readUIntBE(maskAt - Math.min(lengthBytes, 6), Math.min(lengthBytes, 6))
  if (bytes.length < payloadAt + length) return undefined
  const payload = Buffer.from(bytes.subarray(payloadAt, payloadAt + length))
  if (isMasked) unmask(payload, bytes.subarray(maskAt, payloadAt))
  const first = bytes.readUInt8(0)
  return { opcode: first & 0x0f, isLast: (first & 0x80) !== 0, payload, size: payloadAt + length }
}

function unmask(payload: Buffer, mask: Buffer): void {
  for (const [index, byte] of payload.entries()) payload[index] = byte ^ (mask[index % 4] ?? 0)
}
