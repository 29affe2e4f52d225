import { expect } from 'chai'
import { json, type Reply, type SeenRequest } from '../../../helpers/http-loop.js'
import { project, some, useImageExchanges } from '../an-image-exchange.js'

describe('Image exchange: the data of images', () => {
  const { open } = useImageExchanges()
  const never = new AbortController().signal
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
    const faults: Reply[] = [{ status: 500 }, { body: '{"images": [' }, { body: '<html>' }, { body: 'x', cutAfter: 0 }]
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
