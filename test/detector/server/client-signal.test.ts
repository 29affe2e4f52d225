import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { expect } from 'chai'
import { ClientGoneError, clientSignal } from '../../../src/detector/server/client-signal.js'

describe('The signal of a client', () => {
  const server = createServer()
  let client: Socket
  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  beforeEach(() => {
    client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  })
  afterEach(() => client.destroy())
  after(() => server.close())

  /** Sends a request; what the server sees of it. */
  async function ask(): Promise<[IncomingMessage, ServerResponse]> {
    const asked = once(server, 'request')
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const [request, response] = await asked
    return [request, response]
  }

  it('stays as it is when its requests are answered, one after the other', async () => {
    const [first, answer] = await ask()
    const signal = clientSignal(first.socket)
    answer.end('1')
    await once(answer, 'close')
    const [second] = await ask()
    expect(clientSignal(second.socket)).to.equal(signal)
    expect(signal.aborted).to.equal(false)
  })

  it('aborts, for its listeners, when the connection breaks', async () => {
    const [request] = await ask()
    const signal = clientSignal(request.socket)
    const aborted = once(signal, 'abort')
    client.destroy()
    await aborted
    expect(signal.reason).to.be.instanceOf(ClientGoneError)
  })

  it('has aborted already where the connection has broken before', async () => {
    const [request] = await ask()
    client.destroy()
    await once(request.socket, 'close')
    expect(clientSignal(request.socket).reason).to.be.instanceOf(ClientGoneError)
  })
})
