import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { FastifyRequest } from 'fastify'
import { messageOf, safePathSegment } from '../../../base/index.js'
import { RefusedError } from '../refused-error.js'

export type ReceivedPart = { readonly filename: string; readonly mimetype: string; readonly path: string }

/**
 * Streams the parts of an upload to disk; every part must be a file named `files`. The whole request is read even when
 * it is refused, so that the sender sees the answer instead of a broken connection.
 */
export async function receiveParts(
  request: FastifyRequest,
  folder: string,
  nameOf: (filename: string, index: number) => string,
): Promise<readonly ReceivedPart[]> {
  if (!request.isMultipart()) throw new RefusedError(422, 'files: the body must be multipart/form-data.')
  await mkdir(folder, { recursive: true })
  const received: ReceivedPart[] = []
  let problem: RefusedError | undefined
  for await (const part of request.parts()) {
    if (part.type === 'field') {
      problem ??= new RefusedError(422, `${part.fieldname}: every part must be a file named "files".`)
      continue
    }
    if (part.fieldname !== 'files') problem ??= new RefusedError(422, `${part.fieldname}: parts must be named "files".`)
    const { filename, mimetype } = part
    const name = attempt(() => nameOf(filename, received.length))
    if (name instanceof RefusedError) problem ??= name
    if (problem !== undefined || name instanceof RefusedError) {
      part.file.resume()
      continue
    }
    const path = join(folder, name)
    await pipeline(part.file, createWriteStream(path, { flags: 'wx' }))
    received.push({ filename, mimetype, path })
  }
  if (problem !== undefined) throw problem
  return received
}

/** File names of a model upload: a plain name, used once. */
export function plainNames(): (filename: string) => string {
  const used = new Set<string>()
  return (filename) => {
    const name = safePathSegment(filename)
    if (used.has(name)) throw new RefusedError(422, `files: ${JSON.stringify(name)} came twice.`)
    used.add(name)
    return name
  }
}

function attempt(work: () => string): string | RefusedError {
  try {
    return work()
  } catch (error) {
    return error instanceof RefusedError ? error : new RefusedError(422, `files: ${messageOf(error)}`)
  }
}
