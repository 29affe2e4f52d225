import { createReadStream, type ReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import FormData from 'form-data'

/** One part of an upload: bytes in memory, or a file that is streamed. */
export type MultipartPart =
  | { readonly name: string; readonly data: string | Uint8Array; readonly contentType?: string }
  | { readonly name?: string; readonly path: string; readonly contentType?: string }

/** A body that can be opened again for every try; nothing is read before. */
export type MultipartBody = {
  /** `onMove` is called whenever bytes went on their way. */
  open(onMove: () => void): Promise<OpenMultipart>
}

export type OpenMultipart = {
  readonly headers: Readonly<Record<string, string>>
  readonly stream: FormData
  close(): void
}

/** A multipart body whose parts are all named `files`, as the Loop wants it, with its length known beforehand. */
export function multipartFiles(parts: readonly MultipartPart[]): MultipartBody {
  return {
    async open(onMove) {
      const sizes = await Promise.all(parts.map(sizeOf)) // a missing file is found before anything is opened
      const form = new FormData()
      const open: ReadStream[] = []
      for (const [index, part] of parts.entries()) appendPart(form, part, sizes[index] ?? 0, open)
      // form-data is an old-style stream: a listener alone does not make it flow.
      form.on('data', onMove)
      return {
        headers: { ...form.getHeaders(), 'content-length': String(form.getLengthSync()) },
        stream: form,
        close() {
          for (const stream of open) stream.destroy()
        },
      }
    },
  }
}

async function sizeOf(part: MultipartPart): Promise<number> {
  return 'path' in part ? (await stat(part.path)).size : Buffer.byteLength(part.data)
}

function appendPart(form: FormData, part: MultipartPart, size: number, open: ReadStream[]): void {
  const filename = part.name ?? ('path' in part ? basename(part.path) : 'file')
  const options = { filename, contentType: part.contentType, knownLength: size }
  if (!('path' in part)) {
    form.append('files', Buffer.from(part.data), options)
    return
  }
  if (size === 0) {
    form.append('files', Buffer.alloc(0), options)
    return
  }
  const stream: Readable & ReadStream = createReadStream(part.path, { end: size - 1, highWaterMark: 256 * 1024 })
  open.push(stream)
  form.append('files', stream, options)
}
