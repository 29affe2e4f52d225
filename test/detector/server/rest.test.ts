import { expect } from 'chai'
import sharp from 'sharp'
import { LoopfleetError } from '../../../src/base/errors.js'
import { detectionsKeys } from '../../contract/wire-keys.js'
import { plainJpeg, redOnGreen, withHeaderSize } from '../../inference/images.js'
import { type DetectorFixture, type FixtureOptions, startDetectorFixture } from '../detector-fixture.js'

describe("The detector's REST API", () => {
  const open: DetectorFixture[] = []
  afterEach(async () => {
    await Promise.all(open.splice(0).map((fixture) => fixture.close()))
  })

  async function start(options: FixtureOptions = {}): Promise<DetectorFixture> {
    const fixture = await startDetectorFixture(options)
    open.push(fixture)
    return fixture
  }

  it('answers an image with its metadata in the current dialect', async () => {
    const { url } = await start()

    const answer = await detect(url, await redImage(), { tags: 'a, b', source: 'cam', 'creation-date': '2024-05-01' })

    expect(answer.status).to.equal(200)
    expect(answer.body).to.have.all.keys(
      'box_detections',
      'point_detections',
      'segmentation_detections',
      'classification_detections',
      'box_annotations',
      'point_annotations',
      'classification_annotation',
      'tags',
      'created',
      'source',
      'state',
    )
    expect(answer.body).to.deep.include({ tags: ['a', 'b'], source: 'cam', created: '2024-05-01' })
    expect(answer.body.box_detections[0]).to.include({ category_name: 'A', category_id: 'id-a', model_name: '1.1' })
  })

  it('answers an image with detections, tags and date in dialect 0.8', async () => {
    const { url } = await start({ dialect: '0.8' })

    const answer = await detect(url, await redImage(), { tags: 'a' })

    expect(answer.body).to.have.all.keys(detectionsKeys['0.8'])
    expect(answer.body).to.deep.include({ image_id: null, tags: ['a'] })
    expect(answer.body.date).to.match(/^\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\.\d{3}$/)
  })

  it('keeps an image with its causes before it answers', async () => {
    const { url, kept } = await start({ causes: ['uncertain'] })

    const image = await redImage()
    await detect(url, image, { tags: 'a', source: 'cam', camera_id: 'front' })

    expect(kept).to.have.lengthOf(1)
    expect(Buffer.from(kept[0]?.image.bytes ?? []).equals(image), 'a JPEG stays as it came').to.equal(true)
    expect(kept[0]?.metadata).to.deep.include({ tags: ['a', 'uncertain'], source: 'cam' })
    expect(kept[0]?.metadata.created).to.be.a('string')
  })

  for (const orientation of [3, 6, 8]) {
    it(`keeps the bytes of a JPEG as they came though orientation ${orientation} turns it for the model`, async () => {
      const { url, kept } = await start({ causes: ['uncertain'] })
      const turned = await sharp(await redImage())
        .withMetadata({ orientation })
        .jpeg()
        .toBuffer()

      const detected = await detect(url, turned, {})
      const form = new FormData()
      form.append('files', new Blob([new Uint8Array(turned)]), 'image.jpg')
      const uploaded = await fetch(`${url}/upload`, { method: 'POST', body: form })

      expect([detected.status, uploaded.status]).to.deep.equal([200, 200])
      expect(kept.map(({ image }) => Buffer.compare(image.bytes, turned))).to.deep.equal([0, 0])
    })
  }

  it('adds the camera to the tags in dialect 0.8, under any of its names', async () => {
    for (const name of ['camera-id', 'camera_id', 'mac']) {
      const { url, kept } = await start({ dialect: '0.8', causes: ['uncertain'] })

      await detect(url, await redImage(), { [name]: 'front' })

      expect(kept[0]?.metadata.tags).to.deep.equal(['front', 'uncertain'])
      expect(kept[0]?.metadata).to.include({ image_id: null })
    }
  })

  it('keeps every image with autoupload all, and none with disabled', async () => {
    const { url, kept } = await start({ causes: ['uncertain'] })

    await detect(url, await redImage(), { autoupload: 'all' })
    await detect(url, await redImage(), { autoupload: 'disabled' })

    expect(kept.map(({ metadata }) => metadata.tags)).to.deep.equal([[]])
  })

  it('refuses an unknown autoupload, but in dialect 0.8 uploads nothing', async () => {
    const [current, older] = [await start(), await start({ dialect: '0.8', causes: ['uncertain'] })]

    const refused = await detect(current.url, await redImage(), { autoupload: 'sometimes' })
    const taken = await detect(older.url, await redImage(), { autoupload: 'sometimes' })

    expect(refused.status).to.equal(422)
    expect(refused.body.detail[0]).to.include({ type: 'value_error' })
    expect(taken.status).to.equal(200)
    expect(older.kept).to.be.empty
  })

  it('answers the detections although the image cannot be kept, and shows that in the status', async () => {
    const { url, detector, failToKeep } = await start({ causes: ['uncertain'] })
    failToKeep(new Error('no space left on device'))

    const answer = await detect(url, await redImage())
    expect(answer.status).to.equal(200)
    expect(detector.condition().errors).to.deep.equal({ outbox: 'no space left on device' })

    failToKeep(undefined)
    await detect(url, await redImage())
    expect(detector.condition().errors).to.deep.equal({})
  })

  it('says 503 with a reason and when to come again while there is no model', async () => {
    const { url, failWith } = await start()
    failWith(new LoopfleetError('LF_DETECTOR_NO_MODEL', 'There is no model yet.'))

    const answer = await detect(url, await redImage())

    expect(answer.status).to.equal(503)
    expect(answer.body).to.deep.equal({ detail: 'There is no model yet.' })
    expect(Number(answer.headers.get('retry-after'))).to.be.greaterThan(0)
  })

  it('refuses what is no image, and reads the next one', async () => {
    const { url } = await start()
    const jpeg = await redImage()

    const rubbish = await detect(url, Buffer.from('no image'))
    const empty = await detect(url, Buffer.alloc(0))
    const cut = await detect(url, jpeg.subarray(0, jpeg.length / 2))
    const huge = await detect(url, withHeaderSize(jpeg, 30_000, 30_000))
    const good = await detect(url, jpeg)

    expect([rubbish, empty, cut, huge, good].map(({ status }) => status)).to.deep.equal([400, 400, 400, 413, 200])
    expect(rubbish.body.detail).to.be.a('string')
  })

  it('names the missing part', async () => {
    const { url } = await start()

    const other = new FormData()
    other.append('image', new Blob([new Uint8Array(3)]), 'a.jpg')
    const wrongPart = await fetch(`${url}/detect`, { method: 'POST', body: other })
    const noForm = await fetch(`${url}/detect`, { method: 'POST', body: 'hello' })

    expect([wrongPart.status, noForm.status]).to.deep.equal([422, 422])
    expect(await wrongPart.json()).to.deep.equal({
      detail: [{ loc: ['body', 'file'], msg: 'field required', type: 'value_error' }],
    })
  })

  it('takes images to send with the tag picked_by_system', async () => {
    const { url, kept } = await start()

    const body = new FormData()
    const jpeg = await plainJpeg(20, 10, '#00ff00')
    for (const name of ['a.jpg', 'b.jpg']) body.append('files', new Blob([jpeg]), name)
    const query = '?source=robot&upload_priority=true'
    const headers = { 'creation-date': '2024-05-01T12:00:00' }
    const answer = await fetch(`${url}/upload${query}`, { method: 'POST', body, headers })

    expect(answer.status).to.equal(200)
    expect(await answer.json()).to.deep.equal([200, 'OK'])
    expect(kept).to.have.lengthOf(2)
    expect(kept[0]).to.deep.include({ priority: true })
    expect(kept[0]?.metadata).to.deep.include({
      tags: ['picked_by_system'],
      source: 'robot',
      created: '2024-05-01T12:00:00',
    })
  })

  it('refuses an upload that is no image, and one that it cannot keep', async () => {
    const { url, kept, failToKeep } = await start()
    const send = async (bytes: Uint8Array<ArrayBuffer>) => {
      const body = new FormData()
      body.append('files', new Blob([bytes]), 'a.jpg')
      return (await fetch(`${url}/upload`, { method: 'POST', body })).status
    }

    expect(await send(new Uint8Array(100))).to.equal(400)
    expect(await send(new Uint8Array([0xff, 0xd8, 0xff, 0, 1, 2, 3]))).to.equal(400)
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>'
    expect(await send(new Uint8Array(Buffer.from(svg)))).to.equal(400)
    expect(await send(new Uint8Array(withHeaderSize(await redImage(), 30_000, 30_000)))).to.equal(413)
    failToKeep(new LoopfleetError('LF_OUTBOX_WRITE', 'There is no room.'))
    expect(await send(new Uint8Array(await plainJpeg(20, 10, 'red')))).to.equal(503)
    expect(kept).to.be.empty
  })

  it('tells and changes its modes as plain words', async () => {
    const { url } = await start()
    const get = async (path: string) => (await fetch(`${url}${path}`)).text()
    const put = async (path: string, body: string) => {
      const answer = await fetch(`${url}${path}`, { method: 'PUT', body })
      return [answer.status, await answer.json()]
    }

    expect(await get('/operation_mode')).to.equal('idle')
    expect(await put('/operation_mode', 'detecting')).to.deep.equal([200, 'OK'])
    expect(await get('/operation_mode')).to.equal('detecting')
    expect((await put('/operation_mode', 'check_for_updates'))[0]).to.equal(422)
    expect(await get('/outbox_mode')).to.equal('continuous_upload')
    expect(await put('/outbox_mode', 'stopped')).to.deep.equal([200, 'OK'])
    expect((await put('/outbox_mode', 'sometimes'))[0]).to.equal(422)
    expect(await put('/model_version', 'pause')).to.deep.equal([200, 'OK'])
    expect(JSON.parse(await get('/model_version'))).to.deep.equal({
      current_version: '1.1',
      target_version: 'None',
      loop_version: 'None',
      local_versions: ['1.1'],
      version_control: 'pause',
    })
  })

  it('describes itself', async () => {
    const { url } = await start()

    const about = JSON.parse(await (await fetch(`${url}/about`)).text())

    expect(about).to.have.all.keys(
      'operation_mode',
      'state',
      'model_info',
      'target_model',
      'version_control',
      'model_problem',
    )
    expect(about).to.deep.include({ operation_mode: 'idle', state: 'online', version_control: 'follow_loop' })
    expect(about.model_info).to.have.all.keys(
      'id',
      'host',
      'organization',
      'project',
      'version',
      'categories',
      'resolution',
      'model_root_path',
      'model_size',
      'conf_threshold',
    )
  })
})

function redImage(): Promise<Buffer> {
  return redOnGreen(64, 48, { left: 16, top: 16, width: 24, height: 16 })
}

async function detect(url: string, image: Buffer, headers: Record<string, string> = {}) {
  const body = new FormData()
  body.append('file', new Blob([new Uint8Array(image)]), 'image.jpg')
  const answer = await fetch(`${url}/detect`, { method: 'POST', body, headers })
  return { status: answer.status, headers: answer.headers, body: JSON.parse(await answer.text()) }
}
