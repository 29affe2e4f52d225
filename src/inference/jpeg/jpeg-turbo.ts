/** Decodes a JPEG to RGB rows in memory of exactly their size; false, with anything in it, if it cannot. */
export type JpegDecoder = (jpeg: Uint8Array, rows: Uint8Array) => boolean

/**
 * libjpeg-turbo, which decodes in the thread that calls; undefined where it is not installed. It must only be given what
 * `plainJpegSize` has measured: it takes other sizes on trust.
 */
export async function loadJpegTurbo(): Promise<JpegDecoder | undefined> {
  const loaded = await import('@julusian/jpeg-turbo').catch(() => undefined) // there are platforms without it
  if (loaded === undefined) return undefined
  const { decompressSync, FORMAT_RGB: format } = loaded.default
  return (jpeg, rows) => {
    try {
      const { size } = decompressSync(asBuffer(jpeg), asBuffer(rows), { format })
      return size === rows.byteLength
    } catch {
      return false // its messages say nothing; another decoder judges the image
    }
  }
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
