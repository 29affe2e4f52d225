import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { PassThrough, pipeline, type Readable } from 'node:stream'
import { ZipFile } from 'yazl'

export type ZipEntry = {
  /** Path inside the zip, with forward slashes. */
  readonly name: string
  /** The file to take the bytes from … */
  readonly path?: string
  /** … or the bytes themselves. */
  readonly data?: string | Uint8Array
}

export type ZipOptions = {
  /** Off for models that are compressed already: much less work, hardly more bytes. */
  readonly compress?: boolean
}

/**
 * A zip as a stream, one file open at a time and none in memory. A missing file fails the stream; a stream that is
 * destroyed closes what it had open.
 */
export function zipStream(entries: readonly ZipEntry[], options: ZipOptions = {}): Readable {
  const zip = new ZipFile()
  const output = new PassThrough()
  const fail = (error: unknown): void => {
    output.destroy(error instanceof Error ? error : new Error(String(error)))
  }
  zip.once('error', fail)
  // yazl's own stream does not close its sources when destroyed, so it is only read from.
  pipeline(zip.outputStream, output, () => undefined)
  addEntries({ zip, entries, compress: options.compress ?? true, output }).catch(fail)
  return output
}

type Adding = {
  readonly zip: ZipFile
  readonly entries: readonly ZipEntry[]
  readonly compress: boolean
  readonly output: PassThrough
}

async function addEntries({ zip, entries, compress, output }: Adding): Promise<void> {
  for (const { name, path, data } of entries) {
    if (path === undefined) {
      zip.addBuffer(typeof data === 'string' ? Buffer.from(data) : Buffer.from(data ?? []), name, { compress })
      continue
    }
    const { size } = await stat(path) // yazl must know it for files of 4 GiB and more
    zip.addReadStreamLazy(name, { compress, size }, (done) => {
      const source = createReadStream(path)
      source.once('error', (error) => output.destroy(error))
      output.once('close', () => source.destroy())
      done(null, source)
    })
  }
  zip.end()
}
