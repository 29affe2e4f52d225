import { connect } from 'node:net'

/**
 * Writes a whole request to a server on this machine before it reads anything, as simple clients do; answers all that
 * it read until the connection ended, or its fault.
 */
export async function sendThenRead(url: string, head: readonly string[], body: Buffer): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').pause()
  try {
    return await new Promise<string>((resolve) => {
      let received = ''
      socket.setEncoding('latin1').on('data', (text: string) => {
        received += text
      })
      socket.once('error', (error) => resolve(String(error))).once('end', () => resolve(received))
      socket.write(`${head.join('\r\n')}\r\nhost: 127.0.0.1\r\ncontent-length: ${body.length}\r\n\r\n`)
      socket.write(body, () => socket.resume())
    })
  } finally {
    socket.destroy()
  }
}
