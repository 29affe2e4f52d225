import sharp, { type JpegOptions } from 'sharp'

/** A real JPEG of noise, so that it has entropy data worth the name. */
export async function noiseJpeg(width = 64, height = 48, options: JpegOptions = {}): Promise<Buffer> {
  const pixels = Buffer.alloc(width * height * 3)
  let seed = 1
  for (let at = 0; at < pixels.length; at += 1) {
    seed = (seed * 48271) % 2147483647
    pixels[at] = seed & 0xff
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg(options)
    .toBuffer()
}
