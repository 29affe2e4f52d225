import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createSegmentationTool } from '../../../src/nodes/annotator/tools/segmentation/segmentation-tool.js'
import { iouOf } from '../../helpers/polygons.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import {
  type AnnotationLoop,
  boxAround,
  inputOf,
  startAnnotationLoop,
  startAnnotator,
  type TestAnnotator,
} from './annotator-fixture.js'

describe('the demo segmentation tool at a Loop', function () {
  this.timeout(60_000)
  const folder = useTemporaryFolder()
  let at: AnnotationLoop
  let annotator: TestAnnotator
  before(async () => {
    at = await startAnnotationLoop()
  })
  after(() => at.loop.remove())
  beforeEach(async () => {
    annotator = await startAnnotator(at, createSegmentationTool({}, { log: silentLogger() }), folder.path)
  })
  afterEach(() => annotator.stop())

  const drag = async (image: AnnotationLoop['images'][number], user = 'anna') => {
    const [from, to] = boxAround(image.outline)
    const more = { image_uuid: image.id }
    await annotator.input(inputOf(at, 'left_mouse_down', from, more), user)
    const moved = await annotator.input(inputOf(at, 'mouse_move', to, more), user)
    const released = await annotator.input(inputOf(at, 'left_mouse_up', to, more), user)
    return { moved, released }
  }

  it('draws the box while it is dragged and outlines what stands out in it', async () => {
    const [image] = at.images
    if (image === undefined) throw new Error('no image')

    const { moved, released } = await drag(image)

    expect(moved.payload).to.match(/^<rect /)
    expect(released.payload).to.match(/^<polygon /)
    const [annotation] = await at.annotations(image.id)
    expect(annotation?.category_id).to.equal(at.category.id)
    expect(iouOf(annotation?.shape.points ?? [], image.outline, 640, 480)).to.be.at.least(0.9)
    expect(annotation?.shape.points.every(({ x, y }) => Number.isInteger(x) && Number.isInteger(y))).to.equal(true)
  })

  it('corrects the same annotation by strokes', async () => {
    const [, image] = at.images
    if (image === undefined) throw new Error('no image')
    const more = { image_uuid: image.id }
    await drag(image)
    const [first] = await at.annotations(image.id)
    const left = image.outline.reduce((a, b) => (b.x < a.x ? b : a))
    const middle = { x: Math.round(left.x + 20), y: Math.round(left.y) }

    await annotator.input(inputOf(at, 'left_mouse_down', { x: Math.round(left.x), y: middle.y - 15 }, more))
    const drawing = await annotator.input(inputOf(at, 'mouse_move', { x: middle.x, y: middle.y + 15 }, more))
    await annotator.input(inputOf(at, 'left_mouse_up', { x: middle.x, y: middle.y + 15 }, more))

    expect(drawing.payload).to.match(/<polyline /)
    const corrected = await at.annotations(image.id)
    expect(corrected).to.have.lengthOf(1)
    expect(corrected[0]?.id).to.equal(first?.id)
    expect(corrected[0]?.shape).not.to.deep.equal(first?.shape)
  })

  it('begins another annotation after Enter', async () => {
    const image = at.images[2]
    if (image === undefined) throw new Error('no image')
    await drag(image)

    const ended = await annotator.input(
      inputOf(at, 'key_down', { x: 0, y: 0 }, { image_uuid: image.id, key_down: 'Enter' }),
    )
    await drag(image)

    expect(ended.payload).to.equal('')
    expect(await at.annotations(image.id)).to.have.lengthOf(2)
  })

  it('says so when nothing stands out, and survives a box outside the image', async () => {
    await annotator.input(inputOf(at, 'left_mouse_down', { x: 9000, y: 9000 }))
    const released = await annotator.input(inputOf(at, 'left_mouse_up', { x: 9100, y: 9100 }))

    expect(released).to.include({ success: true })
    expect(released.payload).to.match(/<path /)
  })

  it('takes a box around the whole image, a click, and corners dragged in any order', async () => {
    const image = at.images[3]
    if (image === undefined) throw new Error('no image')
    const more = { image_uuid: image.id }
    await annotator.input(inputOf(at, 'left_mouse_down', { x: 640, y: 480 }, more))
    const all = await annotator.input(inputOf(at, 'left_mouse_up', { x: -5, y: -5 }, more))
    await annotator.input(inputOf(at, 'left_mouse_down', { x: 5, y: 5 }, more), 'otto')
    const click = await annotator.input(inputOf(at, 'left_mouse_up', { x: 5, y: 5 }, more), 'otto')

    expect(all).to.include({ success: true })
    expect(click).to.deep.equal({ success: true, error_msg: null, payload: '' })
  })
})
