/**
 * libjpeg-turbo: decodes a JPEG to RGB rows in memory of exactly their size. False, with anything in that memory, if it
 * cannot. It must only be given what `plainJpegSize` has measured: it takes other sizes on trust.
 */
export type JpegTurbo = {
  /** In the thread that calls, which must not be ended meanwhile. */
  decode(jpeg: Uint8Array, rows: Uint8Array): boolean
  /** In a thread of libuv, for the event loop. */
  decodeBeside(jpeg: Uint8Array, rows: Uint8Array): Promise<boolean>
}

/** Undefined on a platform where it is not installed. */
export async function loadJpegTurbo(): Promise<JpegTurbo | undefined> {
  const loaded = await import('@julusian/jpeg-turbo').catch(() => undefined)
  if (loaded === undefined) return undefined
  const { decompress, decompressSync, FORMAT_RGB: format } = loaded.default
  return {
    decode: (jpeg, rows) => {
      try {
        return decompressSync(asBuffer(jpeg), asBuffer(rows), { format }).size === rows.byteLength
      } catch {
        return false // its messages say nothing; another decoder judges the image
      }
    },
    decodeBeside: (jpeg, rows) =>
      decompress(asBuffer(jpeg), asBuffer(rows), { format }).then(
        ({ size }) => size === rows.byteLength,
        () => false,
      ),
  }
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
