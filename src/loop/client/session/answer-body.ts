import type { RawResponse } from './transport.js'

/** The whole body, or `too-big` once it passes the limit. */
export async function readBody(response: RawResponse, maxBytes: number): Promise<Buffer | 'too-big'> {
  if (Number(response.headers['content-length'] ?? 0) > maxBytes) {
    response.discard()
    return 'too-big'
  }
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response.body) {
    bytes += chunk.length
    if (bytes > maxBytes) return 'too-big'
    chunks.push(chunk)
  }
  const [only] = chunks
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, bytes)
}

/** What an unwelcome answer says: its `detail` if it is JSON as agreed, else the beginning of its text. */
export async function readDetail(response: RawResponse): Promise<string> {
  let text = ''
  try {
    for await (const chunk of response.body) {
      text += chunk.toString('utf8')
      if (text.length > 16_384) break
    }
  } catch {
    // The status has been read and says enough; a cut explanation must not hide it.
  }
  return oneLine(detailOf(text) ?? text)
}

function detailOf(text: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== 'object' || parsed === null || !('detail' in parsed)) return undefined
    return typeof parsed.detail === 'string' ? parsed.detail : JSON.stringify(parsed.detail)
  } catch {
    return undefined
  }
}

function oneLine(text: string): string {
  const line = text
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return line.length <= 300 ? line : `${line.slice(0, 297)}...`
}
