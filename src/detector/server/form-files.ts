import { getMultipartBoundary, MultipartParseError, MultipartPart, parseMultipart } from '@remix-run/multipart-parser'
import { DetectorRequestError } from '../serving/errors.js'

/** A file of a form; its bytes lie in the body. */
export type FormFile = { readonly name: string; readonly bytes: Buffer }

/** Other fields than files, which are passed over. */
const MOST_FIELDS = 20
const MOST_HEAD_BYTES = 4096

/**
 * The files of a whole multipart/form-data body (RFC 7578), in its order. A part is a file if it has a file name or is an
 * octet-stream. Throws a 400 for a body that is no such form, and a 413 for more than `maxFiles`.
 */
export function filesOf(body: Buffer, contentType: string, { maxFiles }: { readonly maxFiles: number }): FormFile[] {
  const files: FormFile[] = []
  let fields = 0
  for (const part of partsOf(body, contentType)) {
    if (part.isFile) files.push({ name: part.name ?? '', bytes: bytesOf(part) })
    else fields += 1
    if (files.length > maxFiles) throw tooMuch(`more than ${maxFiles} files`)
    if (fields > MOST_FIELDS) throw tooMuch(`more than ${MOST_FIELDS} fields`)
  }
  return files
}

/** One part after the other, so that nothing is read behind a limit. */
function* partsOf(body: Buffer, contentType: string): Generator<MultipartPart> {
  const boundary = getMultipartBoundary(contentType)?.trim() ?? ''
  if (boundary === '') throw broken('it names no boundary in its content type')
  if (body.length === 0) throw broken('it is empty')
  const form = body.subarray(Math.max(0, body.indexOf(`--${boundary}`))) // the parser takes nothing before it
  const limits = { maxFileSize: body.length, maxTotalSize: body.length, maxHeaderSize: MOST_HEAD_BYTES }
  try {
    for (const part of parseMultipart(form, { boundary, ...limits, maxParts: Number.POSITIVE_INFINITY })) {
      yield inOneSpelling(part)
    }
  } catch (error) {
    throw error instanceof MultipartParseError ? broken(error.message) : error
  }
}

/** Names of parameters and media types may be in any case (RFC 2045, RFC 2183); the parser knows them in lower case only. */
function inOneSpelling(part: MultipartPart): MultipartPart {
  const { 'content-disposition': disposition = '', 'content-type': type = '' } = headersOf(part)
  const named = disposition.replace(PARAMETER_NAME, (each) => (each.startsWith('"') ? each : each.toLowerCase()))
  const head = `content-disposition: ${named}\r\ncontent-type: ${type.toLowerCase()}`
  return new MultipartPart(Buffer.from(head), part.content)
}

/** Passes over quoted values, which may hold what looks like a parameter. */
const PARAMETER_NAME = /"(?:[^"\\]|\\.)*"|;\s*[^;="\s]+(?=\s*=)/g

function headersOf(part: MultipartPart): MultipartPart['headers'] {
  try {
    return part.headers
  } catch {
    throw broken('the head of a part is not UTF-8')
  }
}

function bytesOf({ content }: MultipartPart): Buffer {
  const [only] = content
  if (content.length !== 1 || only === undefined) return Buffer.concat(content)
  return Buffer.from(only.buffer, only.byteOffset, only.byteLength)
}

function broken(problem: string): DetectorRequestError {
  return new DetectorRequestError(`The body is no valid multipart/form-data: ${problem}.`, { status: 400 })
}

function tooMuch(problem: string): DetectorRequestError {
  return new DetectorRequestError(`The form has ${problem}.`, { status: 413 })
}
