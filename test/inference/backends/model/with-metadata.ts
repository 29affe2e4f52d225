import protobuf from 'protobufjs/minimal.js'

/** The bytes of an ONNX model with more metadata: fields that follow each other belong to one message. */
export function withMetadata(model: Uint8Array, metadata: Readonly<Record<string, string>>): Buffer {
  const writer = protobuf.Writer.create()
  for (const [key, value] of Object.entries(metadata)) {
    writer.uint32((14 << 3) | 2).fork()
    writer.uint32((1 << 3) | 2).string(key)
    writer.uint32((2 << 3) | 2).string(value)
    writer.ldelim()
  }
  return Buffer.concat([model, writer.finish()])
}
