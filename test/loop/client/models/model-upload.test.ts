import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../../src/base/logger/logger.js'
import { createModelExchange } from '../../../../src/loop/client/models/model-exchange.js'
import { createLoopSession } from '../../../../src/loop/client/session/session.js'
import { json } from '../../../helpers/http-loop.js'
import { parseMultipart } from '../../../helpers/multipart.js'
import { rejection } from '../../../helpers/rejection.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'
import { category, useModelExchanges } from '../a-model-exchange.js'

describe('Model exchange: an upload', () => {
  const { open, closers } = useModelExchanges()
  const folder = useTemporaryFolder() // removed when all is closed
  const never = new AbortController().signal

  const upload = (files: string[]) => ({
    organization: 'acme',
    project: 'demo',
    trainingNumber: 7,
    format: 'mocked',
    files,
    modelJson: { categories: [category] },
    signal: never,
  })

  async function file(name: string, content: string | Buffer): Promise<string> {
    const path = join(folder.path, name)
    await writeFile(path, content)
    return path
  }

  it('sends every file and a generated model.json as parts named "files", with the length in front', async () => {
    const { exchange, loop } = await open(() => json({ id: 'uuid-1' }))
    const files = [await file('model.pt', Buffer.alloc(700_000, 'w')), await file('empty.txt', '')]

    const answer = await exchange.uploadTrained(upload(files))

    const [request] = loop.seen
    expect(answer).to.deep.equal({ id: 'uuid-1' })
    expect(request?.method).to.equal('PUT')
    expect(request?.url).to.equal('/api/acme/projects/demo/trainings/7/models/latest/mocked/file')
    expect(request?.headers['content-length']).to.equal(String(request?.body.length))
    expect(request?.headers).not.to.have.property('transfer-encoding')
    const parts = parseMultipart(request)
    expect(parts.map(({ name, filename, data }) => [name, filename, data.length])).to.deep.equal([
      ['files', 'model.pt', 700_000],
      ['files', 'empty.txt', 0],
      ['files', 'model.json', parts[2]?.data.length],
    ])
    expect(JSON.parse(parts[2]?.data.toString() ?? '')).to.deep.equal({ categories: [category] })
  })

  it('takes a 409 that names the model as success, since the Loop has its files already', async () => {
    const id = '85ef1c0e-51d4-4b6b-8d0f-000000000009'
    const { exchange } = await open(() => ({ ...json({ detail: { id } }), status: 409 }))

    expect(await exchange.uploadTrained(upload([await file('model.pt', 'w')]))).to.deep.equal({ id })
  })

  for (const detail of ['the model exists', {}, { id: null }, { id: 'no uuid' }, [], null]) {
    it(`takes a 409 with the detail ${JSON.stringify(detail)} as success without an id`, async () => {
      const { exchange } = await open(() => ({ ...json({ detail }), status: 409 }))

      expect(await exchange.uploadTrained(upload([await file('model.pt', 'w')]))).to.deep.equal({ id: null })
    })
  }

  it('takes a 409 without a body as success without an id', async () => {
    const { exchange } = await open(() => ({ status: 409, body: '' }))

    expect(await exchange.uploadTrained(upload([await file('model.pt', 'w')]))).to.deep.equal({ id: null })
  })

  it('fails for good on other refusals', async () => {
    const { exchange } = await open(() => ({ ...json({ detail: 'no such training' }), status: 404 }))

    const error = await rejection(exchange.uploadTrained(upload([await file('model.pt', 'w')])))

    expect(error).to.include({ code: 'LF_LOOP_REQUEST', failure: 'fatal' })
  })

  it('adds a converted format to its model', async () => {
    const { exchange, loop } = await open(() => json({}))

    const answer = await exchange.uploadConverted({ ...upload([await file('model.onnx', 'o')]), modelId: 'm1' })

    expect(answer).to.deep.equal({ id: 'm1' })
    expect(loop.seen[0]?.url).to.equal('/api/acme/projects/demo/models/m1/mocked/file')
  })

  it('sends the whole body again after a new login', async () => {
    let logins = 0
    const { exchange, loop } = await open(
      (request) => {
        if (request.url === '/api/login') return { headers: { 'set-cookie': `token=t${++logins}` } }
        return request.headers.cookie === 'token=t2' ? json({ id: 'uuid-1' }) : json({ detail: 'expired' }, 401)
      },
      { username: 'robot', password: 'secret' },
    )

    await exchange.uploadTrained(upload([await file('model.pt', Buffer.alloc(300_000))]))

    const bodies = loop.seenAt(/latest/).map((request) => parseMultipart(request)[0]?.data.length)
    expect(bodies).to.deep.equal([300_000, 300_000])
  })

  it('comes through, at the latest with the next try, when the Loop refuses it before it has read it', async () => {
    let logins = 0
    const server = createServer((request, response) => {
      if (request.url === '/api/login') {
        logins += 1
        response.writeHead(200, { 'set-cookie': `token=t${logins}` }).end()
      } else if (request.headers.cookie === 'token=t2') {
        request.resume().once('end', () => response.end('{"id": "uuid-1"}'))
      } else {
        response.writeHead(401, { connection: 'close' }).end('{"detail": "expired"}', () => request.destroy())
      }
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const session = createLoopSession(
      { host: `127.0.0.1:${port}`, username: 'robot', password: 'secret' },
      { log: silentLogger() },
    )
    closers.push(
      () => server.close(),
      () => session.close(),
    )
    const exchange = createModelExchange({ session, log: silentLogger() })
    const large = upload([await file('model.pt', Buffer.alloc(30_000_000))])

    const answer = await exchange.uploadTrained(large).catch(() => exchange.uploadTrained(large))

    expect(answer).to.deep.equal({ id: 'uuid-1' })
    expect(logins).to.equal(2)
  })

  for (const [title, reply, expected] of [
    ['refuses it', json({ detail: 'no such training' }, 404), { code: 'LF_LOOP_REQUEST', failure: 'fatal' }],
    ['fails', { status: 500 }, { code: 'LF_LOOP_REQUEST', failure: 'transient' }],
    ['answers without an id', json({}), { code: 'LF_LOOP_ANSWER', failure: 'transient' }],
    ['cuts the answer', { body: '{"id": 1}', cutAfter: 2 }, { code: 'LF_LOOP_REQUEST', failure: 'transient' }],
  ] as const) {
    it(`is sent once and told as an error when the Loop ${title}`, async () => {
      const { exchange, loop } = await open(() => reply)

      const error = await exchange
        .uploadTrained(upload([await file('model.pt', 'w')]))
        .catch((thrown: unknown) => thrown)

      expect(error).to.deep.include(expected)
      expect(loop.seen).to.have.lengthOf(1)
    })
  }

  it('refuses what the Loop would refuse or lose, before anything is sent', async () => {
    const { exchange, loop } = await open(() => json({ id: 'x' }))
    await mkdir(join(folder.path, 'other'))
    const model = await file('model.pt', 'w')
    const sets = [
      [],
      [model, await file('other/model.pt', 'w')],
      [model, await file('model.json', '{}')],
      [join(folder.path, 'not-there.pt')],
      [folder.path],
      [await file('quo"te.pt', 'w')],
    ]

    const errors = await Promise.all(
      sets.map((files) => exchange.uploadTrained(upload(files)).catch((thrown) => thrown)),
    )

    expect(errors.map(({ code }) => code)).to.deep.equal(Array(sets.length).fill('LF_MODEL_FILES'))
    expect(loop.seen).to.deep.equal([])
  })

  it('follows a link to a file, as trainers set their best model aside with links', async () => {
    const { exchange, loop } = await open(() => json({ id: 'x' }))
    const link = join(folder.path, 'model.pt')
    await symlink(await file('epoch7.pt', 'weights'), link)

    await exchange.uploadTrained(upload([link]))

    expect(parseMultipart(loop.seen[0])[0]).to.deep.include({ filename: 'model.pt', data: Buffer.from('weights') })
  })
})
