import { once } from 'node:events'
import { connect } from 'node:net'
import { expect } from 'chai'
import { type FastifyInstance, fastify } from 'fastify'
import { answerClientError } from '../../../src/base/http/client-errors.js'

const CHUNKED = 'Transfer-Encoding: chunked\r\n'

describe('What is no valid HTTP', () => {
  let server: FastifyInstance
  beforeEach(async () => {
    server = fastify({ clientErrorHandler: answerClientError, forceCloseConnections: true })
    server.post('/', async () => 'never')
    await server.listen({ port: 0, host: '127.0.0.1' })
  })
  afterEach(() => server.close())

  async function answerTo(text: string): Promise<string> {
    const address = server.server.address()
    const socket = connect(typeof address === 'object' ? Number(address?.port) : 0, '127.0.0.1')
    let answer = ''
    socket.setEncoding('latin1').on('data', (data: string) => (answer += data))
    socket.write(text)
    await once(socket, 'close')
    return answer
  }

  for (const [what, text, reason] of [
    [
      'a length beside chunks, as some cameras send it',
      `POST / HTTP/1.1\r\nHost: a\r\n${CHUNKED}Content-Length: 3\r\n\r\n`,
      /Content-Length/,
    ],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n', /Content-Length/],
    [
      'a chunk without a size',
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n${CHUNKED}\r\nsecret\r\n`,
      /chunk size/,
    ],
    ['a word that is no method', 'SECRET / HTTP/1.1\r\n\r\n', /method/],
  ] as const) {
    it(`is answered with the rule that it breaks: ${what}`, async () => {
      const answer = await answerTo(text)

      expect(answer).to.match(/^HTTP\/1\.1 400 /)
      expect(JSON.parse(answer.slice(answer.indexOf('{'))).detail)
        .to.match(/^The request is no valid HTTP: .+\.$/)
        .and.match(reason)
      expect(answer.toLowerCase()).not.to.contain('secret')
    })
  }
})
