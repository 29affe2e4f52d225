import { mkdir, readdir, readFile, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { json, type Reply } from '../../../helpers/http-loop.js'
import { noiseJpeg } from '../../../helpers/jpegs.js'
import { idOf, project, some, useImageExchanges } from '../an-image-exchange.js'

describe('Image exchange', () => {
  const { open, folder } = useImageExchanges()
  const never = new AbortController().signal
  let jpeg: Buffer
  before(async () => {
    jpeg = await noiseJpeg()
  })
  const images = () => join(folder.path, 'acme', 'demo', 'images')

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
    expect(await readdir(join(folder.path, 'acme', 'demo'))).to.deep.equal(['images'])
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
    expect(await readdir(join(folder.path, 'acme', 'demo'))).to.deep.equal(['images'])
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

  it('fails immediately when it is not allowed to see the images', async () => {
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
    const full = whenCalled(16) // as many as it starts with
    const { exchange } = await open(async () => {
      active += 1
      most = Math.max(most, active)
      const isTooMany = active > 6
      await full()
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
    const full = whenCalled(16) // as many as it starts with
    const { exchange } = await open(async () => {
      active += 1
      most = Math.max(most, active)
      await full()
      await new Promise((resolve) => setTimeout(resolve, 10))
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
    expect(await readdir(join(folder.path, 'acme', 'demo'))).to.deep.equal(['images'])
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
    const broken = Buffer.concat([jpeg.subarray(0, 20), Buffer.alloc(5 * 1024 * 1024)])
    const { exchange } = await open((request) => ({ body: idOf(request) === 'id-0' ? large : broken }))

    const fetched = await exchange.fetchImages({ ...project, ids: some(2), signal: never })

    expect(fetched.available).to.deep.equal(['id-0'])
    expect(fetched.corrupt).to.deep.equal(['id-1'])
  })

  it('takes JPEGs whose rows are all there, whatever else is odd about them', async () => {
    const samsung = await readFile(new URL('../../../fixtures/pixels/samsung_sos.jpg', import.meta.url))
    const odd = [samsung, jpeg.subarray(0, -2), Buffer.concat([jpeg, Buffer.from('trailer')]), samsung.subarray(0, -2)]
    const { exchange } = await open((request) => ({ body: odd[Number(idOf(request).slice(3))] ?? '' }))

    const fetched = await exchange.fetchImages({ ...project, ids: some(odd.length), signal: never })

    expect(fetched.available).to.have.lengthOf(odd.length)
  })

  it('takes an image beyond the limit of bytes for a corrupt one', async () => {
    const { exchange } = await open(() => ({ body: Buffer.alloc(6 * 1024 * 1024) }), { maxImageBytes: 5 * 1024 * 1024 })

    const fetched = await exchange.fetchImages({ ...project, ids: some(2), signal: never })

    expect(fetched.corrupt).to.have.lengthOf(2)
  })

  it('removes what a killed predecessor left unfinished', async () => {
    const stale = join(folder.path, 'acme', 'demo', '.images-stale')
    await mkdir(stale, { recursive: true })
    await utimes(stale, 1, 1)
    const { exchange } = await open(() => ({ body: jpeg }))

    await exchange.fetchImages({ ...project, ids: some(1), signal: never })

    expect(await readdir(join(folder.path, 'acme', 'demo'))).to.deep.equal(['images'])
  })
})

/** Calls that wait until there were so many of them; later ones do not wait. */
function whenCalled(times: number): () => Promise<void> {
  let calls = 0
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return () => {
    calls += 1
    if (calls === times) open()
    return opened
  }
}
