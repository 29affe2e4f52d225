import sharp, { type Color } from 'sharp'

/** A JPEG of one colour. */
export async function plainJpeg(width: number, height: number, background: Color): Promise<Buffer> {
  return await sharp({ create: { width, height, channels: 3, background } })
    .jpeg({ quality: 100 })
    .toBuffer()
}

/** A green JPEG with one red rectangle. */
export async function redOnGreen(
  width: number,
  height: number,
  red: { left: number; top: number; width: number; height: number },
): Promise<Buffer> {
  const { left, top } = red
  const input = { create: { width: red.width, height: red.height, channels: 3 as const, background: '#ff0000' } }
  return await sharp({ create: { width, height, channels: 3, background: '#00ff00' } })
    .composite([{ input, left, top }])
    .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
    .toBuffer()
}

/** The JPEG with the size in its header replaced: what a decompression bomb looks like. */
export function withHeaderSize(jpeg: Buffer, width: number, height: number): Buffer {
  const changed = Buffer.from(jpeg)
  const frame = changed.indexOf(Buffer.from([0xff, 0xc0]))
  changed.writeUInt16BE(height, frame + 5)
  changed.writeUInt16BE(width, frame + 7)
  return changed
}
