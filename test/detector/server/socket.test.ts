import { expect } from 'chai'
import sharp from 'sharp'
import { io, type Socket } from 'socket.io-client'
import { LoopfleetError } from '../../../src/base/errors.js'
import { createLogger } from '../../../src/base/logger/logger.js'
import { until } from '../../helpers/until.js'
import { redOnGreen } from '../../inference/images.js'
import { type DetectorFixture, type FixtureOptions, startDetectorFixture } from '../detector-fixture.js'

describe("The detector's socket", () => {
  const open: { close(): unknown }[] = []
  afterEach(async () => {
    for (const part of open.splice(0).reverse()) await part.close()
  })

  async function start(options: FixtureOptions = {}): Promise<DetectorFixture & { readonly socket: Socket }> {
    const fixture = await startDetectorFixture(options)
    open.push(fixture)
    return { ...fixture, socket: await connect(fixture.url) }
  }

  async function connect(url: string): Promise<Socket> {
    const socket = io(url, { path: '/ws/socket.io', transports: ['websocket'], reconnection: false, forceNew: true })
    open.push(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('connect_error', reject)
    })
    return socket
  }

  it('finds things in JPEG bytes', async () => {
    const { socket } = await start()

    const answer = await ask(socket, 'detect', { image: await redImage(), camera_id: 'front', tags: ['a'] })

    expect(answer.box_detections[0]).to.include({ category_name: 'A', model_name: '1.1' })
    expect(answer).to.deep.include({ tags: ['a'], created: null, source: null })
  })

  it('finds things in an image of the format jpeg, also in a batch, and keeps its bytes as they came', async () => {
    const { socket, kept } = await start()
    const bytes = await redImage()
    const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true })
    const raw = { format: 'raw', bytes: data, dtype: 'uint8', shape: [info.height, info.width, info.channels] }

    const one = await ask(socket, 'detect', { image: { format: 'jpeg', bytes }, autoupload: 'all' })
    const several = await ask(socket, 'batch_detect', {
      images: [{ format: 'jpeg', bytes }, raw, { ...raw, format: null }],
    })
    const uploaded = await ask(socket, 'upload', { image: { format: 'jpeg', bytes }, metadata: { state: 'trash' } })

    expect(one.box_detections[0]).to.include({ category_name: 'A' })
    expect(several.items.map((item: typeof one) => item.box_detections[0].category_name)).to.deep.equal(['A', 'A', 'A'])
    expect(uploaded).to.deep.equal({ status: 'OK' })
    expect(kept.map(({ image }) => Buffer.compare(image.bytes, bytes))).to.deep.equal([0, 0])
    expect(kept[1]?.metadata).to.include({ state: 'trash' })
  })

  it('keeps the bytes of a turned JPEG as they came, in every way to send one', async () => {
    const { socket, kept } = await start()
    const bytes = await sharp(await redImage())
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer()

    await ask(socket, 'detect', { image: bytes, autoupload: 'all' })
    await ask(socket, 'detect', { image: { format: 'jpeg', bytes }, autoupload: 'all' })
    await ask(socket, 'batch_detect', { images: [{ format: 'jpeg', bytes }], autoupload: 'all' })
    await ask(socket, 'upload', { image: bytes })

    expect(kept.map(({ image }) => Buffer.compare(image.bytes, bytes))).to.deep.equal([0, 0, 0, 0])
  })

  it('refuses formats that it does not know, and jpeg without bytes, with the field', async () => {
    const { socket } = await start()
    const bytes = await redImage()

    const wrong: [unknown, string][] = [
      [{ format: 'png', bytes }, 'image.format must be "raw" or "jpeg", got "png"'],
      [{ format: 7, bytes }, 'image.format must be "raw" or "jpeg", got 7'],
      [{ format: 'jpeg' }, 'image.bytes'],
      [{ format: 'jpeg', bytes: 'text' }, 'image.bytes must be bytes, got "text"'],
      [{ bytes }, 'image.dtype must be a string, got nothing'],
      [
        `data:image/jpeg;base64,${Buffer.from(bytes).toString('base64')}`,
        'image must be the bytes of an image, or {format, bytes}, or {bytes, dtype, shape}, got "data:image/jpeg;base64,',
      ],
      [
        [255, 216],
        'image must be the bytes of an image, or {format, bytes}, or {bytes, dtype, shape}, got a list of 2',
      ],
    ]
    for (const [image, sentence] of wrong) {
      expect((await ask(socket, 'detect', { image })).error, sentence).to.include(sentence)
    }
  })

  it('names the image of a batch that it cannot read', async () => {
    const { socket } = await start()
    const good = await redImage()
    const bad: [Buffer, RegExp][] = [
      [good.subarray(0, -60), /^images\[1\]: The image cannot be decoded/],
      [Buffer.from('text'), /^images\[1\]: The image is no JPEG, PNG or WebP/],
    ]

    for (const [image, sentence] of bad) {
      expect((await ask(socket, 'batch_detect', { images: [good, image, good] })).error).to.match(sentence)
    }
    expect((await ask(socket, 'batch_detect', { images: [good, good] })).items).to.have.lengthOf(2)
  })

  it('forwards the keys of newer clients beside the metadata of an upload', async () => {
    const { socket, kept } = await start()

    const answer = await ask(socket, 'upload', { image: await redImage(), metadata: { mission: 7, image_id: 'x' } })

    expect(answer).to.deep.equal({ status: 'OK' })
    expect(kept[0]?.metadata).to.include({ mission: 7 }).and.not.have.property('image_id')
  })

  it('answers in dialect 0.8 with detections, and knows its older keys', async () => {
    const { socket, kept } = await start({ dialect: '0.8', causes: ['uncertain'] })

    const answer = await ask(socket, 'detect', { image: await redImage(), mac: 'front', autoupload: 'filtered' })

    expect(answer).to.include.keys('image_id', 'date')
    expect(kept[0]?.metadata.tags).to.deep.equal(['front', 'uncertain'])
  })

  it('refuses pixels that do not fit their shape', async () => {
    const { socket } = await start()
    const { data, info } = await sharp(await redImage())
      .raw()
      .toBuffer({ resolveWithObject: true })
    const shape = [info.height, info.width, info.channels]

    const wrong = [
      { bytes: data.subarray(1), dtype: 'uint8', shape },
      { bytes: data, dtype: 'float32', shape },
      { bytes: data, dtype: 'uint8', shape: [info.height, info.width, 2] },
      { bytes: data, dtype: 'uint8', shape: [info.height, info.width] },
      { bytes: data, dtype: 'uint8', shape: [-1, 3, 3] },
      { bytes: 'text', dtype: 'uint8', shape },
    ]
    for (const image of wrong) expect(await ask(socket, 'detect', { image })).to.have.all.keys('error')
  })

  it('answers every event, whatever comes with it', async () => {
    const { socket } = await start()
    const payloads = [
      undefined,
      null,
      7,
      'text',
      [],
      {},
      { image: null },
      { image: 'x' },
      { images: 7 },
      Buffer.alloc(3),
    ]
    const events = ['detect', 'batch_detect', 'upload', 'set_outbox_mode', 'no_such_event', '__proto__', 'toString']

    for (const event of events) {
      for (const payload of payloads) {
        expect(await ask(socket, event, payload), `${event} ${String(payload)}`).to.have.all.keys('error')
      }
    }
    expect(await ask(socket, 'info', {})).to.include({ version: '1.1' })
  })

  it('survives events without a callback, with many arguments and with a number for a name', async () => {
    const { socket } = await start()

    socket.emit('detect')
    socket.emit('detect', { image: Buffer.alloc(10) })
    socket.emit('upload', 1, 2, 3)
    // biome-ignore lint/suspicious/noExplicitAny: a client in another language may do so
    socket.emit(7 as any, {})

    expect(await ask(socket, 'info')).to.include({ version: '1.1' })
  })

  it('answers the calls about state as REST does', async () => {
    const { socket, detector } = await start()

    expect(await ask(socket, 'about')).to.deep.equal(detector.about())
    expect(await ask(socket, 'get_model_version')).to.deep.equal(detector.modelVersion())
    expect(await ask(socket, 'get_outbox_mode')).to.deep.equal({ outbox_mode: 'continuous_upload' })
    expect(await ask(socket, 'set_outbox_mode', 'stopped')).to.deep.equal({ status: 'OK' })
    expect(await ask(socket, 'set_model_version_mode', 'pause')).to.deep.equal({ status: 'OK' })
    expect((await ask(socket, 'get_model_version')).version_control).to.equal('pause')
  })

  it('says that no model is loaded, each dialect in its own way', async () => {
    for (const dialect of ['0.8', 'current'] as const) {
      const { socket, setLoaded } = await start({ dialect })
      setLoaded(false)

      const info = await ask(socket, 'info')

      expect(info).to.deep.equal(dialect === '0.8' ? 'No model loaded' : { status: 'No model loaded' })
    }
  })

  it('keeps an upload with its metadata, and fills in the ids of the categories', async () => {
    const { socket, kept } = await start()
    const box = { category_name: 'A', x: 1, y: 2, width: 3, height: 4, model_name: 'x', confidence: 0.5 }
    const metadata = { box_detections: [box, { ...box, category_name: 'Z' }], tags: ['mine'], source: 'robot' }

    const answer = await ask(socket, 'upload', { image: await redImage(), metadata, upload_priority: true })

    expect(answer).to.deep.equal({ status: 'OK' })
    expect(kept[0]?.priority).to.equal(true)
    expect(kept[0]?.metadata).to.deep.include({ tags: ['mine', 'picked_by_system'], source: 'robot' })
    expect(kept[0]?.metadata).to.have.nested.property('box_detections[0].category_id', 'id-a')
    expect(kept[0]?.metadata).to.have.nested.property('box_detections[1].category_id', '')
  })

  it('acknowledges an upload of dialect 0.8 without a word', async () => {
    const { socket, kept } = await start({ dialect: '0.8' })

    expect(await ask(socket, 'upload', { image: await redImage() })).to.equal(undefined)
    expect(kept[0]?.metadata).to.deep.include({ tags: ['picked_by_system'], image_id: null, box_detections: [] })
  })

  it('reports metadata of a wrong type', async () => {
    const { socket } = await start()
    const metadata = { box_detections: [{ category_name: 'A', x: 'left' }] }

    const answer = await ask(socket, 'upload', { image: await redImage(), metadata })

    expect(answer.error).to.match(/metadata\.box_detections\[0\]/)
  })

  it('says why it cannot detect and when to ask again', async () => {
    const { socket, failWith } = await start()
    failWith(new LoopfleetError('LF_DETECTOR_UPDATING', 'Try again later.', { details: { version: '1.2' } }))

    const answer = await ask(socket, 'detect', { image: await redImage() })

    expect(answer).to.deep.equal({ error: 'updating model to version 1.2: Try again later.', retry_after: 2 })
    failWith(new LoopfleetError('LF_DETECTOR_NO_MODEL', 'It is on its way.'))
    expect((await ask(socket, 'detect', { image: await redImage() })).error).to.match(/^detector not yet initialized: /)
  })

  it('lets other clients on when one sends too much at the same time, and logs why that one is gone', async () => {
    const lines: string[] = []
    const log = createLogger({ destination: { write: (line: string) => lines.push(line) } })
    const { url, socket } = await start({ limits: { maxBodyBytes: 1_000_000 }, log })
    const other = await connect(url)
    const dropped = new Promise((resolve) => other.once('disconnect', resolve))

    other.emit('detect', { image: Buffer.alloc(2_000_000) })

    await dropped
    expect(await ask(socket, 'info')).to.include({ version: '1.1' })
    await until('it is logged', () => lines.some((line) => line.includes('beyond the limit')))
    expect(JSON.parse(lines.at(-1) ?? '')).to.include({ level: 40, maxBytes: 1_000_000 })
  })

  it('does not serve pages of other origins, except in dialect 0.8', async () => {
    const handshake = async (url: string) =>
      (await fetch(`${url}/ws/socket.io/?EIO=4&transport=polling`, { headers: { origin: 'http://evil.example' } }))
        .status
    const [current, older] = [await start(), await start({ dialect: '0.8' })]

    expect(await handshake(current.url)).to.equal(403)
    expect(await handshake(older.url)).to.equal(200)
  })
})

function redImage(): Promise<Buffer> {
  return redOnGreen(64, 48, { left: 16, top: 16, width: 24, height: 16 })
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came
function ask(socket: Socket, event: string, ...args: unknown[]): Promise<any> {
  return socket.timeout(10_000).emitWithAck(event, ...args)
}
