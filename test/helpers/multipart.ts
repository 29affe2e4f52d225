import type { SeenRequest } from './http-loop.js'

export type SeenPart = { readonly name: string; readonly filename: string; readonly data: Buffer }

/** The parts of a multipart body, by the letter of the format. */
export function parseMultipart(request: SeenRequest | undefined): SeenPart[] {
  const boundary = /boundary=(.+)$/.exec(request?.headers['content-type'] ?? '')?.[1]
  if (request === undefined || boundary === undefined) throw new Error('no multipart request')
  const parts: SeenPart[] = []
  const mark = Buffer.from(`--${boundary}`)
  let at = request.body.indexOf(mark)
  for (;;) {
    const next = request.body.indexOf(mark, at + mark.length)
    if (next === -1) return parts
    const part = request.body.subarray(at + mark.length + 2, next - 2)
    const headerEnd = part.indexOf('\r\n\r\n')
    const header = part.subarray(0, headerEnd).toString()
    parts.push({
      name: / name="([^"]*)"/.exec(header)?.[1] ?? '',
      filename: / filename="([^"]*)"/.exec(header)?.[1] ?? '',
      data: Buffer.from(part.subarray(headerEnd + 4)),
    })
    at = next
  }
}
