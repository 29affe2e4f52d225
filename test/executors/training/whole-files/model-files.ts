import { buffer } from 'node:stream/consumers'
import { zipStream } from '../../../../src/base/zip/zip.js'

export type Kind = 'zip' | 'packed-zip' | 'commented-zip' | 'safetensors' | 'onnx' | 'unknown'
export const kinds: readonly Kind[] = ['zip', 'packed-zip', 'commented-zip', 'safetensors', 'onnx', 'unknown']

export const endings: Record<Kind, string> = {
  zip: '.pt',
  'packed-zip': '.npz',
  'commented-zip': '.ckpt',
  safetensors: '.safetensors',
  onnx: '.onnx',
  unknown: '.engine',
}

/** A whole model of a kind, with so many bytes of weights. */
export async function makeModel(kind: Kind, bytes: number, random: () => number): Promise<Buffer> {
  const weights = Buffer.from(Array.from({ length: bytes }, () => Math.floor(random() * 256)))
  switch (kind) {
    case 'zip':
      return await zipOf(weights, false)
    case 'packed-zip':
      return await zipOf(Buffer.concat([weights, Buffer.alloc(bytes)]), true)
    case 'commented-zip':
      return withComment(await zipOf(weights, false), 'made by PK\x05\x06 itself')
    case 'safetensors':
      return safetensors(weights)
    case 'onnx':
      return onnx(weights)
    case 'unknown':
      return Buffer.concat([Buffer.from('engine'), weights])
    default:
      return kind satisfies never
  }
}

async function zipOf(weights: Buffer, compress: boolean): Promise<Buffer> {
  const half = Math.floor(weights.length / 2)
  const entries = [
    { name: 'archive/data.pkl', data: weights.subarray(0, half) },
    { name: 'archive/data/0', data: weights.subarray(half) },
  ]
  return await buffer(zipStream(entries, { compress }))
}

function withComment(zip: Buffer, comment: string): Buffer {
  const text = Buffer.from(comment, 'latin1')
  const result = Buffer.concat([zip, text])
  result.writeUInt16LE(text.length, zip.length - 2)
  return result
}

export function safetensors(weights: Buffer): Buffer {
  const header = Buffer.from(
    JSON.stringify({
      __metadata__: { format: 'pt' },
      weight: { dtype: 'U8', shape: [weights.length], data_offsets: [0, weights.length] },
    }),
  )
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, header, weights])
}

/** An ONNX model with one tensor, in the file itself or in one beside it. */
export function onnx(weights: Buffer, external?: { readonly location: string; readonly length: number }): Buffer {
  const content =
    external === undefined
      ? field(9, weights)
      : Buffer.concat([entry('location', external.location), entry('length', String(external.length)), number(14, 1)])
  const graph = field(7, field(5, Buffer.concat([number(1, weights.length), number(2, 2), content])))
  const unknown = field(4000, Buffer.from('of a later version'))
  return Buffer.concat([number(1, 9), field(2, Buffer.from('test')), graph, field(8, number(2, 17)), unknown])
}

function entry(key: string, value: string): Buffer {
  return field(13, Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(value))]))
}

function field(id: number, content: Buffer): Buffer {
  return Buffer.concat([varint(id * 8 + 2), varint(content.length), content])
}

function number(id: number, value: number): Buffer {
  return Buffer.concat([varint(id * 8), varint(value)])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) + 128)
  }
}
