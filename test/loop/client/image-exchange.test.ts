import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger.js'
import {
  createImageExchange,
  type ImageExchange,
  type ImageExchangeOptions,
} from '../../../src/loop/client/image-exchange.js'
import { createLoopRest } from '../../../src/loop/client/rest.js'
import { createLoopSession } from '../../../src/loop/client/session.js'
import { type HttpLoop, json, type Reply, type SeenRequest, startHttpLoop } from '../../helpers/http-loop.js'
import { noiseJpeg } from '../../helpers/jpegs.js'

describe('Image exchange', () => {
  const closers: (() => unknown)[] = []
  let folder: string
  let jpeg: Buffer
  const project = { organization: 'acme', project: 'demo' }
  const never = new AbortController().signal

  before(async () => {
    jpeg = await noiseJpeg()
  })
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-images-'))
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
    await rm(folder, { recursive: true })
  })

  async function open(
    answer: (request: SeenRequest) => Reply | Promise<Reply>,
    options: Partial<ImageExchangeOptions> = {},
  ): Promise<{ exchange: ImageExchange; loop: HttpLoop }> {
    const log = silentLogger()
    const loop = await startHttpLoop(answer)
    const session = createLoopSession({ host: loop.host }, { log })
    closers.push(
      () => loop.close(),
      () => session.close(),
    )
    const rest = createLoopRest(session)
    const exchange = createImageExchange(
      { folder, retryFirstMs: 1, useJpeginfo: false, ...options },
      { rest, session, log },
    )
    return { exchange, loop }
  }

  const images = () => join(folder, 'acme', 'demo', 'images')
  const some = (count: number) => Array.from({ length: count }, (_, index) => `id-${index}`)
  const idOf = (request: SeenRequest) => /images\/([^/]+)\/main/.exec(request.url)?.[1] ?? ''

  it('fetches what is not on disk, keeps it, and reports progress', async () => {
    const { exchange, loop } = await open(() => ({ body: jpeg }))
    await exchange.fetchImages({ ...project, ids: some(10), signal: never })
    const progress: string[] = []

    const fetched = await exchange.fetchImages({
      ...project,
      ids: [...some(30), 'id-1'],
      signal: never,
      onProgress: (done, total) => progress.push(`${done}/${total}`),
    })

    expect(fetched.available).to.have.members(some(30))
    expect(loop.seen).to.have.lengthOf(30)
    expect(progress[0]).to.equal('10/30')
    expect(progress.at(-1)).to.equal('30/30')
    expect(await readdir(join(folder, 'acme', 'demo'))).to.deep.equal(['images'])
    expect(await readFile(exchange.imagePath('acme', 'demo', 'id-29'))).to.deep.equal(jpeg)
  })

  it('sorts every asked image into available, corrupt or missing', async () => {
    const { exchange } = await open((request) => {
      const id = idOf(request)
      if (id === 'id-1') return { body: jpeg.subarray(0, 200) }
      if (id === 'id-2') return { body: '' }
      if (id === 'id-3') return json({ detail: 'no such image' }, 404)
      return { body: jpeg }
    })

    const fetched = await exchange.fetchImages({ ...project, ids: some(5), signal: never })

    expect(fetched.corrupt).to.have.members(['id-1', 'id-2'])
    expect(fetched.missing).to.deep.equal(['id-3'])
    expect(fetched.available).to.have.members(['id-0', 'id-4'])
    expect(await readdir(images())).to.have.members(['id-0.jpg', 'id-4.jpg'])
  })

  it('fetches an image again that came broken or with an error once', async () => {
    const tries = new Map<string, number>()
    const { exchange } = await open((request) => {
      const count = (tries.get(idOf(request)) ?? 0) + 1
      tries.set(idOf(request), count)
      if (count > 1) return { body: jpeg }
      const faults: Reply[] = [
        { status: 500 },
        { body: jpeg, cutAfter: 100 },
        { body: 'half' },
        { status: 502 },
        { body: jpeg, cutAfter: 0 },
      ]
      return faults[Number(idOf(request).slice(3)) % faults.length] ?? {}
    })

    const fetched = await exchange.fetchImages({ ...project, ids: some(20), signal: never })

    expect(fetched.available).to.have.lengthOf(20)
  })

  it('fails when the Loop stays away, and goes on where it was the next time', async () => {
    let isAway = true
    const { exchange, loop } = await open((request) =>
      isAway && idOf(request) > 'id-5' ? { status: 503, body: '<html>' } : { body: jpeg },
    )

    const error = await exchange
      .fetchImages({ ...project, ids: some(10), signal: never })
      .catch((thrown: unknown) => thrown)
    isAway = false
    const before = loop.seen.length
    const fetched = await exchange.fetchImages({ ...project, ids: some(10), signal: never })

    expect(error).to.deep.include({ code: 'LF_LOOP_REQUEST', failure: 'transient' })
    expect(fetched.available).to.have.lengthOf(10)
    expect(loop.seen.length - before).to.be.lessThan(10)
    expect(await readdir(join(folder, 'acme', 'demo'))).to.deep.equal(['images'])
  })

  it('counts a single image that the Loop cannot read as missing while the Loop is well', async () => {
    const { exchange } = await open((request) => (idOf(request) === 'id-7' ? { status: 500 } : { body: jpeg }))

    const fetched = await exchange.fetchImages({ ...project, ids: some(20), signal: never })

    expect(fetched.missing).to.deep.equal(['id-7'])
  })

  it('does not take many failing images for missing ones', async () => {
    const { exchange } = await open((request) => (idOf(request) > 'id-5' ? { status: 500 } : { body: jpeg }))

    const error = await exchange
      .fetchImages({ ...project, ids: some(20), signal: never })
      .catch((thrown: unknown) => thrown)

    expect(error).to.deep.include({ failure: 'transient' })
  })

  it('fails at once when it is not allowed to see the images', async () => {
    const { exchange, loop } = await open(() => json({ detail: 'not yours' }, 403))

    const error = await exchange
      .fetchImages({ ...project, ids: some(500), signal: never })
      .catch((thrown: unknown) => thrown)

    expect(error).to.deep.include({ failure: 'fatal' })
    expect(loop.seen.length).to.be.lessThan(40)
  })

  it('slows down when the Loop asks for it, and loses nothing', async () => {
    let active = 0
    let most = 0
    let refused = 0
    const { exchange } = await open(async () => {
      active += 1
      most = Math.max(most, active)
      const isTooMany = active > 6
      await new Promise((resolve) => setTimeout(resolve, 2))
      active -= 1
      if (!isTooMany) return { body: jpeg }
      refused += 1
      return { status: 429, headers: { 'retry-after': '0.1' } }
    })

    const fetched = await exchange.fetchImages({ ...project, ids: some(200), signal: never })

    expect(fetched.available).to.have.lengthOf(200)
    expect(most).to.be.greaterThan(6)
    expect(refused).to.be.lessThan(100)
  })

  it('never has more than 32 requests under way', async () => {
    let active = 0
    let most = 0
    const { exchange } = await open(async () => {
      active += 1
      most = Math.max(most, active)
      await new Promise((resolve) => setTimeout(resolve, 1))
      active -= 1
      return { body: jpeg }
    })

    await exchange.fetchImages({ ...project, ids: some(600), signal: never })

    expect(most).to.be.within(16, 32)
  })

  it('ends with the reason of the signal and leaves no unfinished file', async () => {
    const ending = new AbortController()
    const reason = new Error('aborted by the user')
    let seen = 0
    const { exchange } = await open(() => {
      seen += 1
      if (seen === 5) ending.abort(reason)
      return seen < 5 ? { body: jpeg } : { silent: true }
    })

    const error = await exchange
      .fetchImages({ ...project, ids: some(50), signal: ending.signal })
      .catch((thrown: unknown) => thrown)

    expect(error).to.equal(reason)
    expect(await readdir(join(folder, 'acme', 'demo'))).to.deep.equal(['images'])
  })

  for (const id of ['../../../etc/passwd', '..', '', 'a/b', 'a\\b', 'a\u0000b', 'x'.repeat(300)]) {
    it(`refuses ${JSON.stringify(id.slice(0, 20))} as an id before anything is fetched`, async () => {
      const { exchange, loop } = await open(() => ({ body: jpeg }))

      const error = await exchange
        .fetchImages({ ...project, ids: ['good', id], signal: never })
        .catch((thrown: unknown) => thrown)

      expect(error).to.deep.include({ code: 'LF_UNSAFE_NAME', failure: 'fatal' })
      expect(() => exchange.imagePath('acme', '..', 'x')).to.throw()
      expect(loop.seen).to.deep.equal([])
    })
  }

  it('streams a large image to disk and checks it there', async () => {
    const large = Buffer.concat([jpeg, Buffer.alloc(5 * 1024 * 1024)])
    const broken = Buffer.concat([jpeg.subarray(0, 400), Buffer.alloc(5 * 1024 * 1024)])
    const { exchange } = await open((request) => ({ body: idOf(request) === 'id-0' ? large : broken }))

    const fetched = await exchange.fetchImages({ ...project, ids: some(2), signal: never })

    expect(fetched.available).to.deep.equal(['id-0'])
    expect(fetched.corrupt).to.deep.equal(['id-1'])
  })

  it('takes an image beyond the limit of bytes for a corrupt one', async () => {
    const { exchange } = await open(() => ({ body: Buffer.alloc(6 * 1024 * 1024) }), { maxImageBytes: 5 * 1024 * 1024 })

    const fetched = await exchange.fetchImages({ ...project, ids: some(2), signal: never })

    expect(fetched.corrupt).to.have.lengthOf(2)
  })

  it('removes what a killed predecessor left unfinished', async () => {
    const stale = join(folder, 'acme', 'demo', '.images-stale')
    await mkdir(stale, { recursive: true })
    await utimes(stale, 1, 1)
    const { exchange } = await open(() => ({ body: jpeg }))

    await exchange.fetchImages({ ...project, ids: some(1), signal: never })

    expect(await readdir(join(folder, 'acme', 'demo'))).to.deep.equal(['images'])
  })

  describe('with jpeginfo on the PATH', () => {
    const path = process.env.PATH
    afterEach(() => {
      process.env.PATH = path
    })

    async function install(script: string): Promise<void> {
      const bin = join(folder, 'bin')
      await mkdir(bin)
      await writeFile(join(bin, 'jpeginfo'), script)
      await chmod(join(bin, 'jpeginfo'), 0o755)
      process.env.PATH = `${bin}${delimiter}${path}`
    }

    /** Judges by the last bytes of a file, whether the names come as arguments or one by one. */
    const judging = `judge() {
  case "$(tail -c 3 "$1")" in
    BAD) echo "$1 64 x 48 24bit N 99 WARNING bad OK?";;
    DIE) kill -9 $$;;
    *) echo "$1 64 x 48 24bit N 99 OK";;
  esac
}
case "$1 $2" in
  --version*) exit 0;;
  '-c -f') while read -r name; do judge "$name"; done;;
  *) shift; for name in "$@"; do judge "$name"; done;;
esac
exit 1
`
    const marked = (mark: string) => Buffer.concat([jpeg, Buffer.from(mark)])

    it('drops the images that it does not call OK, and starts it once for all', async () => {
      const calls = join(folder, 'calls')
      await install(`#!/bin/sh\necho "$1" >> ${calls}\n${judging}`)
      const { exchange } = await open((request) => ({ body: idOf(request) === 'id-3' ? marked('BAD') : jpeg }), {
        useJpeginfo: true,
        concurrency: 4,
        maxConcurrency: 4,
      })

      const fetched = await exchange.fetchImages({ ...project, ids: some(60), signal: never })

      expect(fetched.corrupt).to.deep.equal(['id-3'])
      expect(fetched.available).to.have.lengthOf(59)
      const starts = (await readFile(calls, 'utf8')).trim().split('\n')
      expect(starts.filter((call) => call === '-c').length).to.be.lessThan(5)
    })

    it('goes on behind an image that it dies over, which the own check found whole', async () => {
      await install(`#!/bin/sh\n${judging}`)
      const marks = new Map([
        ['id-7', 'DIE'],
        ['id-30', 'BAD'],
      ])
      const { exchange } = await open((request) => ({ body: marked(marks.get(idOf(request)) ?? '') }), {
        useJpeginfo: true,
      })

      const fetched = await exchange.fetchImages({ ...project, ids: some(40), signal: never })

      expect(fetched.corrupt).to.deep.equal(['id-30'])
      expect(fetched.available).to.include('id-7').and.to.have.lengthOf(39)
    })

    it('is given the names as arguments where there is no stdbuf', async () => {
      await install(`#!/bin/sh\nPATH='${path}'\n${judging}`)
      process.env.PATH = join(folder, 'bin')
      const { exchange } = await open((request) => ({ body: idOf(request) === 'id-3' ? marked('BAD') : jpeg }), {
        useJpeginfo: true,
      })

      const fetched = await exchange.fetchImages({ ...project, ids: some(20), signal: never })

      expect(fetched.corrupt).to.deep.equal(['id-3'])
      expect(fetched.available).to.have.lengthOf(19)
    })

    it('is gone when the fetch is aborted', async () => {
      const pidFile = join(folder, 'pid')
      await install(`#!/bin/sh\ncase "$1" in --version) exit 0;; esac\necho $$ > ${pidFile}\n${judging}`)
      const ending = new AbortController()
      const { exchange } = await open(
        (request) => {
          if (idOf(request) === 'id-40') ending.abort(new Error('enough'))
          return idOf(request) < 'id-40' ? { body: jpeg } : { silent: true }
        },
        { useJpeginfo: true },
      )

      const error = await exchange
        .fetchImages({ ...project, ids: some(80), signal: ending.signal })
        .catch((thrown: unknown) => thrown)

      expect(error).to.have.property('message', 'enough')
      const pid = Number(await readFile(pidFile, 'utf8'))
      expect(() => process.kill(pid, 0)).to.throw('ESRCH')
      expect(await readdir(join(folder, 'acme', 'demo'))).to.deep.equal(['images'])
    })

    it('relies on the own check when it breaks down', async () => {
      await install('#!/bin/sh\nkill -9 $$\n')
      const { exchange } = await open((request) => ({ body: idOf(request) === 'id-1' ? 'no' : jpeg }), {
        useJpeginfo: true,
      })

      const fetched = await exchange.fetchImages({ ...project, ids: some(4), signal: never })

      expect(fetched.available).to.have.lengthOf(3)
      expect(fetched.corrupt).to.deep.equal(['id-1'])
    })
  })

  describe('image data', () => {
    const entry = (id: string) => ({
      id,
      set: 'train',
      width: 64,
      height: 48,
      box_annotations: [],
      point_annotations: [],
    })
    const asked = (request: SeenRequest) => new URL(request.url, 'http://x').searchParams.get('ids')?.split(',') ?? []

    it('comes in chunks of 100, in the order that was asked', async () => {
      const { exchange, loop } = await open((request) => json({ images: asked(request).reverse().map(entry) }))
      const progress: number[] = []

      const data = await exchange.fetchImageData({
        ...project,
        ids: some(250),
        signal: never,
        onProgress: (done) => progress.push(done),
      })

      expect(data.map(({ id }) => id)).to.deep.equal(some(250))
      expect(loop.seen.map((request) => asked(request).length)).to.have.members([100, 100, 50])
      expect(progress.at(-1)).to.equal(250)
    })

    it('is asked for again when a chunk fails for a moment', async () => {
      const faults: Reply[] = [
        { status: 500 },
        { body: '{"images": [' },
        { body: '<html>' },
        { body: 'x', cutAfter: 0 },
      ]
      const { exchange } = await open((request) => faults.pop() ?? json({ images: asked(request).map(entry) }))

      const data = await exchange.fetchImageData({ ...project, ids: some(50), signal: never })

      expect(data).to.have.lengthOf(50)
    })

    it('fails as a whole when one chunk cannot be had', async () => {
      const { exchange } = await open((request) =>
        asked(request).includes('id-150') ? { status: 500 } : json({ images: asked(request).map(entry) }),
      )

      const error = await exchange
        .fetchImageData({ ...project, ids: some(250), signal: never })
        .catch((thrown: unknown) => thrown)

      expect(error).to.deep.include({ code: 'LF_LOOP_REQUEST', failure: 'transient' })
    }).timeout(20_000)

    it('tells what the Loop left out or described in a way that cannot be used', async () => {
      const { exchange } = await open((request) =>
        json({
          images: [
            ...asked(request)
              .filter((id) => id !== 'id-2' && id !== 'id-4')
              .map(entry),
            { ...entry('id-4'), set: null },
            entry('never-asked'),
          ],
        }),
      )
      const missing: string[] = []

      const data = await exchange.fetchImageData({
        ...project,
        ids: some(6),
        signal: never,
        onMissing: (ids) => missing.push(...ids),
      })

      expect(data.map(({ id }) => id)).to.deep.equal(['id-0', 'id-1', 'id-3', 'id-5'])
      expect(missing).to.deep.equal(['id-2', 'id-4'])
    })
  })
})
