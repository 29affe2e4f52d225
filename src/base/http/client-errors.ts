import type { Socket } from 'node:net'

const CLIENT_ERRORS: Readonly<Record<string, readonly [string, string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'The headers are too large.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['413 Payload Too Large', 'The chunk extensions are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'The request came too slowly.'],
}

/** Names the rule that was broken in the parser's own words, which hold nothing of the request. */
function notHttp({ reason }: { readonly reason?: unknown }): string {
  return typeof reason === 'string' && reason !== ''
    ? `The request is no valid HTTP: ${reason}.`
    : 'The request is not HTTP.'
}

/** Answers on the bare connection what is no request, or none yet, as `{"detail": …}`. */
export function answerClientError(
  error: Error & { readonly code?: string; readonly reason?: unknown },
  socket: Socket,
): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, detail] = CLIENT_ERRORS[error.code ?? ''] ?? ['400 Bad Request', notHttp(error)]
  const body = JSON.stringify({ detail })
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`
  socket.end(`${head}Connection: close\r\n\r\n${body}`)
  socket.destroySoon()
}
