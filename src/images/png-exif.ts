const SIGNATURE_BYTES = 8
/** Length, type and checksum of a chunk. */
const FRAME_BYTES = 12

type Chunk = { readonly type: string; readonly from: number; readonly to: number }

/**
 * The PNG with its EXIF block before its pixels. The format allows it behind them too, where libvips overlooks it and
 * OpenCV and Pillow do not.
 */
export function withExifFirst(png: Uint8Array): Uint8Array {
  let pixels: Chunk | undefined
  for (const chunk of chunksOf(Buffer.from(png.buffer, png.byteOffset, png.byteLength))) {
    if (chunk.type === 'IDAT') pixels ??= chunk
    if (chunk.type !== 'eXIf') continue
    if (pixels === undefined) return png
    const [before, between] = [png.subarray(0, pixels.from), png.subarray(pixels.from, chunk.from)]
    return Buffer.concat([before, png.subarray(chunk.from, chunk.to), between, png.subarray(chunk.to)])
  }
  return png
}

/** Up to the first chunk that is cut off. */
function* chunksOf(png: Buffer): Generator<Chunk> {
  for (let from = SIGNATURE_BYTES; from + FRAME_BYTES <= png.byteLength; ) {
    const to = from + FRAME_BYTES + png.readUInt32BE(from)
    if (to > png.byteLength) return
    yield { type: png.toString('latin1', from + 4, from + 8), from, to }
    from = to
  }
}
