import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { zipStream } from '../../../src/base/archives/zip.js'
import { silentLogger } from '../../../src/base/logger.js'
import { createModelExchange, type ModelExchange } from '../../../src/loop/client/model-exchange.js'
import { createLoopSession } from '../../../src/loop/client/session.js'
import type { Category } from '../../../src/loop/protocol/index.js'
import { type HttpLoop, json, type Reply, type SeenRequest, startHttpLoop } from '../../helpers/http-loop.js'
import { parseMultipart } from '../../helpers/multipart.js'
import { rejection } from '../../helpers/rejection.js'

describe('Model exchange', () => {
  const closers: (() => unknown)[] = []
  let folder: string
  const never = new AbortController().signal
  const category: Category = {
    id: 'c1',
    name: 'box',
    description: null,
    hotkey: null,
    color: null,
    point_size: null,
    type: 'box',
  }
  const modelJson = {
    id: 'm1',
    organization: 'acme',
    project: 'demo',
    version: '1.2',
    format: 'mocked',
    categories: [category],
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-models-'))
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
    await rm(folder, { recursive: true })
  })

  async function open(
    answer: (request: SeenRequest) => Reply | Promise<Reply>,
    account: { username?: string; password?: string } = {},
  ): Promise<{ exchange: ModelExchange; loop: HttpLoop }> {
    const log = silentLogger()
    const loop = await startHttpLoop(answer)
    const session = createLoopSession({ host: loop.host, ...account }, { log })
    closers.push(
      () => loop.close(),
      () => session.close(),
    )
    return { exchange: createModelExchange({ session, log }, { retryFirstMs: 1 }), loop }
  }

  const zipOf = (files: Record<string, string | Buffer>) =>
    buffer(zipStream(Object.entries(files).map(([name, data]) => ({ name, data: Buffer.from(data) }))))

  const wanted = (target = join(folder, 'model')) => ({
    organization: 'acme',
    project: 'demo',
    modelId: 'm1',
    format: 'mocked',
    folder: target,
    signal: never,
  })

  describe('download', () => {
    it('unpacks the model into its folder, in place of what was there', async () => {
      const zip = await zipOf({
        'model.json': JSON.stringify(modelJson),
        'model.pt': 'weights',
        'sub/hyp.yaml': 'a: 1',
      })
      const { exchange } = await open(() => ({ body: zip }))
      await mkdir(join(folder, 'model'))
      await writeFile(join(folder, 'model', 'old.pt'), 'old')
      let last: readonly unknown[] = []

      const model = await exchange.download({ ...wanted(), onProgress: (...args) => (last = args) })

      expect(model.modelJson).to.include({ id: 'm1', version: '1.2' })
      expect(model.files).to.have.members(['model.json', 'model.pt', 'sub/hyp.yaml'])
      expect(await readdir(join(folder, 'model'))).to.have.members(['model.json', 'model.pt', 'sub'])
      expect(await readdir(folder)).to.deep.equal(['model'])
      expect(last).to.deep.equal([zip.length, zip.length])
    })

    it('needs no model.json', async () => {
      const zip = await zipOf({ 'model.pt': 'weights' })
      const { exchange } = await open(() => ({ body: zip }))

      expect(await exchange.download(wanted())).to.deep.equal({ modelJson: undefined, files: ['model.pt'] })
    })

    for (const { title, text } of [
      { title: 'that is not JSON', text: '{"id": ' },
      { title: 'without version', text: JSON.stringify({ ...modelJson, version: undefined }) },
      { title: 'whose id is a number', text: JSON.stringify({ ...modelJson, id: 7 }) },
      { title: 'that is a list', text: '[]' },
      { title: 'that is huge', text: `{"a": "${'x'.repeat(9_000_000)}"}` },
    ]) {
      it(`refuses a model.json ${title} and keeps the old model`, async () => {
        const zip = await zipOf({ 'model.json': text, 'model.pt': 'weights' })
        const { exchange } = await open(() => ({ body: zip }))
        await mkdir(join(folder, 'model'))
        await writeFile(join(folder, 'model', 'old.pt'), 'old')

        const error = await exchange.download(wanted()).catch((thrown: unknown) => thrown)

        expect(error).to.deep.include({ code: 'LF_MODEL_FILES', failure: 'fatal' })
        expect(await readdir(join(folder, 'model'))).to.deep.equal(['old.pt'])
        expect(await readdir(folder)).to.deep.equal(['model'])
      })
    }

    it('writes nothing outside its folder, whatever names the zip and the header hold', async () => {
      const zip = (await zipOf({ 'aa/escaped.txt': 'x', 'model.pt': 'weights' })).toString('latin1')
      const hostile = Buffer.from(zip.replaceAll('aa/escaped.txt', '../escaped.txt'.slice(0, 14)), 'latin1')
      const header = { 'content-disposition': 'attachment; filename="../../victim"' }
      const { exchange } = await open(() => ({ body: hostile, headers: header }))
      await mkdir(join(folder, 'victim'))
      await mkdir(join(folder, 'a', 'b'), { recursive: true })

      const error = await exchange.download(wanted(join(folder, 'a', 'b', 'model'))).catch((thrown: unknown) => thrown)

      expect(error).to.deep.include({ code: 'LF_ARCHIVE_REFUSED' })
      expect(await readdir(folder)).to.have.members(['a', 'victim'])
      expect(await readdir(join(folder, 'a', 'b'))).to.deep.equal([])
    })

    it('ignores the file name of the header', async () => {
      const zip = await zipOf({ 'model.pt': 'weights' })
      const header = { 'content-disposition': 'attachment; filename="../../victim"' }
      const { exchange } = await open(() => ({ body: zip, headers: header }))

      await exchange.download(wanted())

      expect(await readdir(folder)).to.deep.equal(['model'])
    })

    it('starts anew when the connection is cut', async () => {
      const zip = await zipOf({ 'model.pt': Buffer.alloc(300_000, 'w') })
      const faults: Reply[] = [{ body: zip, cutAfter: 10 }, { status: 502 }]
      const { exchange, loop } = await open(() => faults.pop() ?? { body: zip })

      const model = await exchange.download(wanted())

      expect(model.files).to.deep.equal(['model.pt'])
      expect(loop.seen).to.have.lengthOf(3)
    })

    it('is fetched anew when a proxy has cut it as if it were all', async () => {
      const zip = await zipOf({ 'model.pt': Buffer.alloc(300_000, 'w') })
      const bodies = [zip.subarray(0, zip.length / 2), zip.subarray(0, 10)]
      const { exchange, loop } = await open(() => ({ body: bodies.pop() ?? zip }))

      const model = await exchange.download(wanted())

      expect(model.files).to.deep.equal(['model.pt'])
      expect(loop.seen).to.have.lengthOf(3)
    })

    it('gives a zip up that is broken every time', async () => {
      const { exchange, loop } = await open(() => ({ body: 'no zip' }))

      const error = await exchange.download(wanted()).catch((thrown: unknown) => thrown)

      expect(error).to.deep.include({ code: 'LF_ARCHIVE_REFUSED', failure: 'fatal' })
      expect(loop.seen).to.have.lengthOf(3)
      expect(await readdir(folder)).to.deep.equal([])
    })

    it('waits for a model that trickles, but not for one that has stopped', async () => {
      const zip = await zipOf({ 'model.pt': randomBytes(1000) })
      const idleMs = 500
      let requests = 0
      const server = createServer(async (_request, response) => {
        requests += 1
        response.writeHead(200, { 'content-length': zip.length })
        if (requests === 1) return void response.write(zip.subarray(0, 100)) // and no sign of life any more
        for (let at = 0; at < zip.length; at += 100) {
          response.write(zip.subarray(at, at + 100))
          await sleep(100) // 1 KB/s
        }
        response.end()
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      const session = createLoopSession({ host: `127.0.0.1:${port}`, timeoutMs: idleMs }, { log: silentLogger() })
      closers.push(
        () => server.closeAllConnections(),
        () => server.close(),
        () => session.close(),
      )
      const startedAt = performance.now()

      const exchange = createModelExchange({ session, log: silentLogger() }, { retryFirstMs: 1 })
      const model = await exchange.download(wanted())

      expect(model.files).to.deep.equal(['model.pt'])
      expect(requests).to.equal(2)
      expect(performance.now() - startedAt).to.be.above(2 * idleMs)
    })

    it('asks only for the rest when the Loop can resume', async () => {
      const zip = await zipOf({ 'model.pt': randomBytes(4_000_000), x: 'y' })
      const etag = '"v1"'
      const ranges: unknown[] = []
      const { exchange } = await open((request): Reply => {
        ranges.push(request.headers.range)
        const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
        if (from === 0) return { body: zip, headers: { etag }, cutAfter: zip.length - 100 }
        expect(request.headers['if-range']).to.equal(etag)
        const range = `bytes ${from}-${zip.length - 1}/${zip.length}`
        return { status: 206, body: zip.subarray(from), headers: { etag, 'content-range': range } }
      })

      await exchange.download(wanted())

      expect(ranges).to.have.lengthOf(2)
      expect(ranges[1]).to.match(/^bytes=\d{5,}-$/)
      expect(await readFile(join(folder, 'model', 'x'), 'utf8')).to.equal('y')
    })

    it('tells at once what the Loop says about a model that it does not have', async () => {
      const { exchange, loop } = await open(() => json({ detail: 'model 0 is unknown' }, 404))

      const error = await exchange.download(wanted()).catch((thrown: unknown) => thrown)

      expect(error).to.deep.include({ failure: 'fatal' })
      expect((error as Error).message).to.contain('model 0 is unknown')
      expect(loop.seen).to.have.lengthOf(1)
      expect(await readdir(folder)).to.deep.equal([])
    })

    it('asks without login, and with one when the Loop wants it', async () => {
      const zip = await zipOf({ 'model.pt': 'weights' })
      const answer = (request: SeenRequest): Reply => {
        if (request.url === '/api/login') return { headers: { 'set-cookie': 'token=t' } }
        return request.headers.cookie === 'token=t' ? { body: zip } : json({ detail: 'who?' }, 401)
      }
      const { exchange, loop } = await open(answer, { username: 'robot', password: 'secret' })

      await exchange.download(wanted())

      expect(loop.seen.map(({ url }) => url.split('/').at(-1))).to.deep.equal(['file', 'login', 'file'])
    })

    it('ends with the reason of the signal and leaves nothing', async () => {
      const ending = new AbortController()
      const reason = new Error('aborted')
      const { exchange } = await open(() => {
        ending.abort(reason)
        return { silent: true }
      })

      const error = await exchange.download({ ...wanted(), signal: ending.signal }).catch((thrown: unknown) => thrown)

      expect(error).to.equal(reason)
      expect(await readdir(folder)).to.deep.equal([])
    })
  })

  describe('upload', () => {
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
      const path = join(folder, name)
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
      const { exchange } = await open(() => ({ ...json({ detail: { id: 'uuid-9' } }), status: 409 }))

      expect(await exchange.uploadTrained(upload([await file('model.pt', 'w')]))).to.deep.equal({ id: 'uuid-9' })
    })

    it('fails on any other 409', async () => {
      const { exchange } = await open(() => ({ ...json({ detail: 'training 7 has no metrics' }), status: 409 }))

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
      await mkdir(join(folder, 'other'))
      const model = await file('model.pt', 'w')
      const sets = [
        [],
        [model, await file('other/model.pt', 'w')],
        [model, await file('model.json', '{}')],
        [join(folder, 'not-there.pt')],
        [folder],
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
      const link = join(folder, 'model.pt')
      await symlink(await file('epoch7.pt', 'weights'), link)

      await exchange.uploadTrained(upload([link]))

      expect(parseMultipart(loop.seen[0])[0]).to.deep.include({ filename: 'model.pt', data: Buffer.from('weights') })
    })
  })
})
