import { expect } from 'chai'
import type { Socket } from 'socket.io-client'
import { startLoop, type TestLoop } from './start-loop.js'

describe('annotations at the local Loop', () => {
  let loop: TestLoop
  let socket: Socket
  let imageId: string
  let categoryId: string
  beforeEach(async () => {
    loop = await startLoop()
    await loop.generate({ project_name: 'shapes', inbox: 2, segmentation_categories: 1 })
    const { image_ids, categories } = (await loop.call('GET', '/api/zauberzeug/projects/shapes/data')).json
    imageId = image_ids[0]
    categoryId = categories[0].id
    socket = await loop.connect('annotation_node')
  })
  afterEach(() => loop.remove())

  const triangle = [at(10, 10), at(200, 10), at(10, 200)]
  const annotation = (more: object = {}) => ({
    id: 'a1',
    shape: { points: triangle },
    image_id: imageId,
    category_id: categoryId,
    ...more,
  })
  const send = (value: unknown, project = 'shapes') =>
    socket.timeout(5000).emitWithAck('update_segmentation_annotation', 'zauberzeug', project, value)
  const stored = async (from = loop) =>
    (await from.call('GET', `/api/zauberzeug/projects/shapes/images?ids=${imageId}`)).json.images[0]
      .segmentation_annotations

  it('are kept, corrected by their id, and still there after a restart', async () => {
    await send(annotation())
    await send(annotation({ id: 'a2' }))
    const corrected = annotation({ shape: { points: [at(0, 0), at(640, 0), at(640, 480)] } })

    expect(await send(corrected)).to.deep.equal({ success: true, error_msg: null, payload: null })

    expect(await stored()).to.have.deep.members([corrected, annotation({ id: 'a2' })])
    expect(loop.effects({ kind: 'annotation', key: 'zauberzeug/shapes/a1' }).map(({ count }) => count)).to.deep.equal([
      1, 2,
    ])
    loop = await loop.restart()
    expect(await stored()).to.have.deep.members([corrected, annotation({ id: 'a2' })])
  })

  it('are all kept when many come at the same time', async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `a${index}`)

    await Promise.all(ids.map((id) => send(annotation({ id }))))

    expect((await stored()).map(({ id }: { id: string }) => id)).to.have.members(ids)
  })

  const bad: readonly [string, object, RegExp][] = [
    ['without an id', { id: '' }, /id must not be empty/],
    ['of an unknown image', { image_id: 'nowhere' }, /no image nowhere/],
    ['of an unknown category', { category_id: 'nothing' }, /no category nothing/],
    ['that are no area', { shape: { points: triangle.slice(1) } }, /2 points/],
    ['outside the image', { shape: { points: [...triangle, at(10, 481)] } }, /10,481 lies outside.*640x480/],
    [
      'with a text for a number',
      { shape: { points: [...triangle, { x: '1', y: 2 }] } },
      /points\[3\]\.x must be a number/,
    ],
    ['without a shape', { shape: null }, /shape must be an object/],
  ]
  for (const [what, more, reason] of bad) {
    it(`${what} are refused with the reason`, async () => {
      const answer = await send(annotation(more))

      expect(answer).to.include({ success: false })
      expect(answer.error_msg).to.match(reason)
      expect(await stored()).to.deep.equal([])
    })
  }

  it('of an unknown project are refused', async () => {
    expect((await send(annotation(), '../demo')).error_msg).to.match(/no project/)
    expect((await send(annotation(), 'none')).error_msg).to.match(/no project/)
  })
})

function at(x: number, y: number) {
  return { x, y }
}
