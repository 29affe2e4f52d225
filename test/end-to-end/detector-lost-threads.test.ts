import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { detect } from '../helpers/edge-clients.js'
import { type Edge, startEdge } from '../helpers/edge-detector.js'
import { until } from '../helpers/until.js'

const MODULE = fileURLToPath(new URL('../fixtures/inference/misbehaves.mjs', import.meta.url))

describe('A detector with threads that hang in native code', function () {
  this.timeout(180_000)
  let edge: Edge
  before(async () => {
    const backend = ['--backend', 'module', '--module', MODULE, '--format', 'onnx', '--deadline', '2', '--threads', '2']
    edge = await startEdge({ args: backend, listen: ['--port', `${await freePort()}`] })
  })
  after(() => edge.close())

  const ask = (name: string) => detect(edge, Buffer.from(name), { autoupload: 'disabled' })

  it('ends when three threads are lost, and is started again by its parent', async () => {
    const gate = join(edge.folder, 'gate')
    await promisify(execFile)('mkfifo', [gate])
    const first = edge.detector.pid

    for (let lost = 1; lost <= 3; lost++) {
      expect((await ask(`waits in native code at ${gate}`)).status).to.equal(503)
      await until(`${lost} are lost`, async () => (await lostThreads(edge)) >= lost, 60_000)
    }
    await until(
      'another process serves',
      async () => (await ask('fine').catch(() => undefined))?.status === 200,
      60_000,
    )

    expect(() => process.kill(first, 0)).to.throw('ESRCH')
    expect(edge.detector.hasExited, 'its parent').to.equal(false)
    expect(await edge.detector.log()).to.include('[LF_THREADS_LOST]')
    await (await open(gate, 'r+')).close()
  })
})

/** How many the log names. */
async function lostThreads(edge: Edge): Promise<number> {
  return (await edge.detector.log()).split('does not come back from native code').length - 1
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
