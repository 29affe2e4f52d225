import { DetectorRequestError } from '../errors.js'

/** A file of a form; its bytes lie in the body. */
export type FormFile = { readonly name: string; readonly bytes: Buffer }

/** Other fields than files, which are passed over. */
const MOST_FIELDS = 20
const MOST_HEAD_BYTES = 4096
const MOST_BOUNDARY = 200
const DASH = 0x2d
const BLANKS = [0x20, 0x09]

/**
 * The files of a whole multipart/form-data body (RFC 7578), in its order. A part is a file if it has a file name or is an
 * octet-stream. Throws a 400 for a body that is no such form, and a 413 for more than `maxFiles`.
 */
export function filesOf(body: Buffer, contentType: string, { maxFiles }: { readonly maxFiles: number }): FormFile[] {
  const files: FormFile[] = []
  let parts = 0
  for (const { head, bytes } of partsOf(body, boundaryOf(contentType))) {
    parts += 1
    const name = fileName(head)
    if (name !== undefined) files.push({ name, bytes })
    if (files.length > maxFiles) throw tooMuch(`more than ${maxFiles} files`)
    if (parts - files.length > MOST_FIELDS) throw tooMuch(`more than ${MOST_FIELDS} fields`)
  }
  return files
}

function* partsOf(body: Buffer, boundary: string): Generator<{ readonly head: string; readonly bytes: Buffer }> {
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  // The first one has no line before it, unless there is something to pass over.
  const isFirst = body.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2))
  let at = isFirst ? delimiter.length - 2 : after(body.indexOf(delimiter), delimiter, 'has no part')
  while (!(body[at] === DASH && body[at + 1] === DASH)) {
    while (BLANKS.includes(body[at] ?? 0)) at += 1
    const headEnd = body.indexOf('\r\n\r\n', at, 'latin1')
    if (body.indexOf('\r\n', at, 'latin1') !== at || headEnd === -1) throw broken('has a part without a head')
    if (headEnd - at > MOST_HEAD_BYTES) throw broken(`has a part with a head of more than ${MOST_HEAD_BYTES} bytes`)
    const end = body.indexOf(delimiter, headEnd + 4)
    const next = after(end, delimiter, 'breaks off')
    yield { head: body.toString('latin1', at + 2, headEnd), bytes: body.subarray(headEnd + 4, end) }
    at = next
  }
}

function after(index: number, delimiter: Buffer, problem: string): number {
  if (index === -1) throw broken(problem)
  return index + delimiter.length
}

function boundaryOf(contentType: string): string {
  const boundary = paramOf(contentType, 'boundary')
  if (boundary === undefined || boundary === '') throw broken('names no boundary in its content type')
  if (boundary.length > MOST_BOUNDARY) throw broken(`has a boundary of more than ${MOST_BOUNDARY} signs`)
  return boundary
}

/** The field of a part that is a file. */
function fileName(head: string): string | undefined {
  const disposition = /^content-disposition:[ \t]*form-data[ \t]*(;.*)$/im.exec(head)?.[1]
  if (disposition === undefined) return undefined
  const isFile =
    paramOf(disposition, 'filename') !== undefined ||
    paramOf(disposition, 'filename*') !== undefined ||
    /^content-type:[ \t]*application\/octet-stream/im.test(head)
  return isFile ? paramOf(disposition, 'name') : undefined
}

/** A parameter of a header, with or without quotes. */
function paramOf(header: string, name: string): string | undefined {
  for (const [, key, quoted, plain = ''] of header.matchAll(PARAM)) {
    if (key?.toLowerCase() === name) return quoted === undefined ? plain.trim() : quoted.replace(/\\(["\\])/g, '$1')
  }
  return undefined
}

const PARAM = /;[ \t]*([^=;\s]+)=(?:"((?:\\.|[^"\\])*)"|([^;\r\n]*))/g

function broken(problem: string): DetectorRequestError {
  return new DetectorRequestError(`The body is no valid multipart/form-data: it ${problem}.`, { status: 400 })
}

function tooMuch(problem: string): DetectorRequestError {
  return new DetectorRequestError(`The form has ${problem}.`, { status: 413 })
}
