import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { silentLogger } from '../../../../src/base/logger/logger.js'
import { zipStream } from '../../../../src/base/zip/zip.js'
import { createModelExchange } from '../../../../src/loop/client/models/model-exchange.js'
import { createLoopSession } from '../../../../src/loop/client/session/session.js'
import { json, type Reply, type SeenRequest } from '../../../helpers/http-loop.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'
import { category, useModelExchanges } from '../a-model-exchange.js'

const modelJson = {
  id: 'm1',
  organization: 'acme',
  project: 'demo',
  version: '1.2',
  format: 'mocked',
  categories: [category],
}

describe('Model exchange: a download', () => {
  const { open, closers } = useModelExchanges()
  const folder = useTemporaryFolder() // removed when all is closed
  const never = new AbortController().signal

  const zipOf = (files: Record<string, string | Buffer>) =>
    buffer(zipStream(Object.entries(files).map(([name, data]) => ({ name, data: Buffer.from(data) }))))

  const wanted = (target = join(folder.path, 'model')) => ({
    organization: 'acme',
    project: 'demo',
    modelId: 'm1',
    format: 'mocked',
    folder: target,
    signal: never,
  })

  it('unpacks the model into its folder, in place of what was there', async () => {
    const zip = await zipOf({
      'model.json': JSON.stringify(modelJson),
      'model.pt': 'weights',
      'sub/hyp.yaml': 'a: 1',
    })
    const { exchange } = await open(() => ({ body: zip }))
    await mkdir(join(folder.path, 'model'))
    await writeFile(join(folder.path, 'model', 'old.pt'), 'old')
    let last: readonly unknown[] = []

    const model = await exchange.download({ ...wanted(), onProgress: (...args) => (last = args) })

    expect(model.modelJson).to.include({ id: 'm1', version: '1.2' })
    expect(model.files).to.have.members(['model.json', 'model.pt', 'sub/hyp.yaml'])
    expect(await readdir(join(folder.path, 'model'))).to.have.members(['model.json', 'model.pt', 'sub'])
    expect(await readdir(folder.path)).to.deep.equal(['model'])
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
      await mkdir(join(folder.path, 'model'))
      await writeFile(join(folder.path, 'model', 'old.pt'), 'old')

      const error = await exchange.download(wanted()).catch((thrown: unknown) => thrown)

      expect(error).to.deep.include({ code: 'LF_MODEL_FILES', failure: 'fatal' })
      expect(await readdir(join(folder.path, 'model'))).to.deep.equal(['old.pt'])
      expect(await readdir(folder.path)).to.deep.equal(['model'])
    })
  }

  it('writes nothing outside its folder, whatever names the zip and the header hold', async () => {
    const zip = (await zipOf({ 'aa/escaped.txt': 'x', 'model.pt': 'weights' })).toString('latin1')
    const hostile = Buffer.from(zip.replaceAll('aa/escaped.txt', '../escaped.txt'.slice(0, 14)), 'latin1')
    const header = { 'content-disposition': 'attachment; filename="../../victim"' }
    const { exchange } = await open(() => ({ body: hostile, headers: header }))
    await mkdir(join(folder.path, 'victim'))
    await mkdir(join(folder.path, 'a', 'b'), { recursive: true })

    const error = await exchange
      .download(wanted(join(folder.path, 'a', 'b', 'model')))
      .catch((thrown: unknown) => thrown)

    expect(error).to.deep.include({ code: 'LF_ARCHIVE_REFUSED' })
    expect(await readdir(folder.path)).to.have.members(['a', 'victim'])
    expect(await readdir(join(folder.path, 'a', 'b'))).to.deep.equal([])
  })

  it('ignores the file name of the header', async () => {
    const zip = await zipOf({ 'model.pt': 'weights' })
    const header = { 'content-disposition': 'attachment; filename="../../victim"' }
    const { exchange } = await open(() => ({ body: zip, headers: header }))

    await exchange.download(wanted())

    expect(await readdir(folder.path)).to.deep.equal(['model'])
  })

  it('starts again when the connection is cut', async () => {
    const zip = await zipOf({ 'model.pt': Buffer.alloc(300_000, 'w') })
    const faults: Reply[] = [{ body: zip, cutAfter: 10 }, { status: 502 }]
    const { exchange, loop } = await open(() => faults.pop() ?? { body: zip })

    const model = await exchange.download(wanted())

    expect(model.files).to.deep.equal(['model.pt'])
    expect(loop.seen).to.have.lengthOf(3)
  })

  it('is fetched again when a proxy has cut it as if it were all', async () => {
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
    expect(await readdir(folder.path)).to.deep.equal([])
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

  for (const unit of ['bytes', 'Bytes'])
    it(`asks only for the rest when the Loop can resume, in ${unit}`, async () => {
      const zip = await zipOf({ 'model.pt': randomBytes(4_000_000), x: 'y' })
      const etag = '"v1"'
      const ranges: unknown[] = []
      const { exchange } = await open((request): Reply => {
        ranges.push(request.headers.range)
        const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
        if (from === 0) return { body: zip, headers: { etag }, cutAfter: zip.length - 100, cutLaterMs: 1000 }
        expect(request.headers['if-range']).to.equal(etag)
        const range = `${unit} ${from}-${zip.length - 1}/${zip.length}`
        return { status: 206, body: zip.subarray(from), headers: { etag, 'content-range': range } }
      })

      await exchange.download(wanted())

      expect(ranges).to.have.lengthOf(2)
      expect(ranges[1]).to.match(/^bytes=\d{5,}-$/)
      expect(await readFile(join(folder.path, 'model', 'x'), 'utf8')).to.equal('y')
    })

  it('tells immediately what the Loop says about a model that it does not have', async () => {
    const { exchange, loop } = await open(() => json({ detail: 'model 0 is unknown' }, 404))

    const error = await exchange.download(wanted()).catch((thrown: unknown) => thrown)

    expect(error).to.deep.include({ failure: 'fatal' })
    expect((error as Error).message).to.contain('model 0 is unknown')
    expect(loop.seen).to.have.lengthOf(1)
    expect(await readdir(folder.path)).to.deep.equal([])
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
    expect(await readdir(folder.path)).to.deep.equal([])
  })
})
