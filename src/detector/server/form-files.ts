import { Busboy, type BusboyInstance } from '@fastify/busboy'
import { messageOf } from '../../base/errors.js'
import { DetectorRequestError } from '../errors.js'

/** A file of a form. */
export type FormFile = { readonly name: string; readonly bytes: Buffer }

/** Other fields than files, which are passed over. */
const MOST_FIELDS = 20
const MOST_FIELD_BYTES = 64 * 1024
const MOST_HEAD_BYTES = 4096
const PIECE_BYTES = 64 * 1024

/**
 * The files of a whole multipart/form-data body (RFC 7578), in its order. A part is a file if it has a file name or is an
 * octet-stream. Throws a 400 for a body that is no such form, and a 413 for more than `maxFiles`.
 */
export async function filesOf(
  body: Buffer,
  contentType: string,
  { maxFiles }: { readonly maxFiles: number },
): Promise<FormFile[]> {
  const form = openForm(contentType, maxFiles)
  const files: { readonly name: string; readonly chunks: Buffer[] }[] = []
  form.on('file', (name, stream) => {
    const chunks: Buffer[] = []
    files.push({ name, chunks })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', () => undefined) // the form reports it, too
  })
  await new Promise<void>((resolve, reject) => {
    form.on('filesLimit', () => reject(tooMuch(`more than ${maxFiles} files`)))
    form.on('fieldsLimit', () => reject(tooMuch(`more than ${MOST_FIELDS} fields`)))
    form.on('partsLimit', () => reject(tooMuch(`more than ${maxFiles + MOST_FIELDS} parts`)))
    form.on('error', (error) => reject(broken(messageOf(error))))
    form.on('finish', resolve)
    feed(form, body)
  })
  return files.map(({ name, chunks }) => ({ name, bytes: joined(chunks) }))
}

/** Writes the body piece by piece and ends early after a limit, as the parser does not: a body may hold millions of empty parts. */
function feed(form: BusboyInstance, body: Buffer): void {
  let isOver = false
  let at = 0
  for (const limit of ['filesLimit', 'fieldsLimit', 'partsLimit']) form.once(limit, () => (isOver = true))
  const go = () => {
    while (at < body.length && !isOver) {
      const piece = body.subarray(at, at + PIECE_BYTES)
      at += PIECE_BYTES
      if (!form.write(piece) && at < body.length) return void form.once('drain', go)
    }
    if (!isOver) form.end()
  }
  go()
}

function openForm(contentType: string, maxFiles: number): BusboyInstance {
  const limits = {
    files: maxFiles,
    fields: MOST_FIELDS,
    parts: maxFiles + MOST_FIELDS,
    fieldSize: MOST_FIELD_BYTES,
    headerSize: MOST_HEAD_BYTES,
  }
  try {
    return new Busboy({ headers: { 'content-type': contentType }, limits })
  } catch (error) {
    throw broken(messageOf(error))
  }
}

function joined(chunks: readonly Buffer[]): Buffer {
  const [only] = chunks
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)
}

function broken(problem: string): DetectorRequestError {
  return new DetectorRequestError(`The body is no valid multipart/form-data: ${problem}.`, { status: 400 })
}

function tooMuch(problem: string): DetectorRequestError {
  return new DetectorRequestError(`The form has ${problem}.`, { status: 413 })
}
