import { writeFile } from 'node:fs/promises'
import type { TappedMessage, TappedRequest, WireTap } from './wire-tap.js'

/** The events of this name that the node has sent, in their order. */
export function messagesOf(tap: WireTap, name: string): readonly TappedMessage[] {
  return tap.messages.filter((message) => message.from === 'node' && message.kind === 'event' && message.name === name)
}

/** An argument of each event of this name that the node has sent. */
export function valuesOf(tap: WireTap, name: string, argument: number): readonly Record<string, unknown>[] {
  return messagesOf(tap, name).map(({ args }) => toObject(args[argument]))
}

/** The elements of a request's JSON array. */
export function entriesOf({ body }: TappedRequest): readonly Record<string, unknown>[] {
  const entries: unknown = JSON.parse(body.toString('utf8'))
  if (!Array.isArray(entries)) throw new Error('The body is no array.')
  return entries.map(toObject)
}

/** `<part name>=<file name>` of each part of a multipart body. */
export function partNames({ body }: TappedRequest): readonly string[] {
  const headers = body
    .toString('latin1')
    .matchAll(/content-disposition: form-data; name="([^"]*)"; filename="([^"]*)"/gi)
  return [...headers].map(([, part, file]) => `${part}=${file}`)
}

/** Writes an answer's body to a file and gives the path. */
export async function saved(response: Response, path: string): Promise<string> {
  await writeFile(path, Buffer.from(await response.arrayBuffer()))
  return path
}

function toObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Error(`${JSON.stringify(value)} is no object.`)
  return { ...value }
}
