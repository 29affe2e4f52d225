import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'
import { expect } from 'chai'
import sharp from 'sharp'
import { io, type Socket } from 'socket.io-client'
import { detect, inboxOf, memoryOf, put, upload } from '../helpers/edge-clients.js'
import { type Edge, ORGANIZATION, PROJECT, startEdge } from '../helpers/edge-detector.js'
import { noiseJpeg } from '../helpers/jpegs.js'
import { until } from '../helpers/until.js'
import { plainJpeg, withHeaderSize } from '../inference/images.js'

const ROUNDS = 5

describe('A whole detector that is sent', function () {
  this.timeout(90_000)
  let edge: Edge
  let socket: Socket
  before(async () => {
    edge = await startEdge()
    socket = io(edge.url, { path: '/ws/socket.io', transports: ['websocket'], reconnection: false })
  })
  after(async () => {
    socket.disconnect()
    await edge.close()
  })
  afterEach(async () => {
    expect(edge.detector.hasExited).to.equal(false)
    const answer = await detect(edge, await plainJpeg(64, 48, 'red'), { autoupload: 'disabled' })
    expect(answer.status, 'a good image afterwards').to.equal(200)
  })

  const overSocket = (image: Buffer): Promise<{ error?: string }> =>
    socket.timeout(30_000).emitWithAck('detect', { image, autoupload: 'disabled' })

  it('images that are corrupt, cut or bombs answers 4xx to them by REST and socket, in bounded memory', async () => {
    const noise = await noiseJpeg(640, 480)
    const plain = await plainJpeg(64, 48, 'red')
    const bad: Record<string, readonly [Buffer, number]> = {
      empty: [Buffer.alloc(0), 400],
      'no image': [Buffer.from('%PDF-1.4 hello'), 400],
      cut: [noise.subarray(0, noise.length / 2), 400],
      'cut in its head': [noise.subarray(0, 50), 400],
      corrupt: [Buffer.concat([noise.subarray(0, 700), Buffer.alloc(noise.length - 700, 0xff)]), 400],
      '30000x30000 by its head': [withHeaderSize(plain, 30_000, 30_000), 413],
      '30000x30000 in truth': [bomb(30_000, 30_000), 413],
      '6400000x10 in truth': [bomb(6_400_000, 10), 413],
      '10x6400000 in truth': [bomb(10, 6_400_000), 413],
      'an SVG that includes a file': [
        Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>'),
        400,
      ],
    }
    const before = await memoryOf(edge)

    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [kind, [image, status]] of Object.entries(bad)) {
        const rest = await detect(edge, image, { autoupload: 'all' })
        expect(rest.status, `${kind}: ${JSON.stringify(rest.body)}`).to.equal(status)
        expect((await overSocket(image)).error, kind).to.be.a('string')
      }
    }

    expect((await memoryOf(edge)).mostMb - before.nowMb).to.be.at.most(200)
    expect(await waiting(), 'what is no image is not kept').to.deep.equal([])
  })

  it('images of rare kinds detects in them', async () => {
    const red = sharp(await plainJpeg(64, 48, 'red'))
    const kinds: Record<string, Buffer> = {
      '1x1': await plainJpeg(1, 1, 'red'),
      CMYK: await red.clone().toColourspace('cmyk').jpeg().toBuffer(),
      rotated: await red.clone().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
      grey: await red.clone().greyscale().jpeg().toBuffer(),
      'long and thin': await plainJpeg(16_000, 1, 'red'),
      large: await plainJpeg(7900, 7900, 'red'),
    }

    for (const [kind, image] of Object.entries(kinds)) {
      const rest = await detect(edge, image, { autoupload: 'disabled' })
      expect(rest.status, `${kind}: ${JSON.stringify(rest.body)}`).to.equal(200)
      expect(await overSocket(image), kind).not.to.have.property('error')
    }
  })

  it('hostile names writes nothing outside of its folder, and hands them on as the plain text they are', async () => {
    const names = ['../../../etc/passwd', '<script>alert(1)</script>', '$(touch owned)', 'a\\..\\b', 'x'.repeat(900)]
    const before = await everything()

    for (const name of names) {
      const headers = { 'camera-id': name, tags: name, source: name, autoupload: 'all' }
      expect((await detect(edge, await plainJpeg(64, 48, 'red'), headers)).status, name).to.equal(200)
      expect((await upload(edge, [await plainJpeg(64, 48, 'red')], { source: name })).status, name).to.equal(200)
    }
    await until('the Loop has them', async () => (await inboxOf(edge)).length === 2 * names.length, 30_000)

    const received = await inboxOf(edge)
    expect(new Set(received.map(({ source }) => source))).to.deep.equal(new Set(names))
    const tags = new Set(received.flatMap((image) => image.tags.map(({ name }) => name)))
    expect([...tags]).to.include.members(names)
    await until('the outbox is empty', async () => (await waiting()).length === 0)
    expect(await everything()).to.have.members(before)
  })

  it('names that are too long or too many refuses them with 4xx', async () => {
    const image = await plainJpeg(64, 48, 'red')
    const many = Array.from({ length: 200 }, (_, index) => `tag-${index}`).join(',')

    expect((await detect(edge, image, { tags: many })).status).to.equal(422)
    expect((await detect(edge, image, { source: 'x'.repeat(2000) })).status).to.equal(422)
    expect((await detect(edge, image, { 'creation-date': '../../x' })).status).to.equal(422)
    expect(await put(edge, '/model_version', '../../etc')).to.equal(400)
    expect(await put(edge, '/model_version', 'x'.repeat(70_000))).to.equal(413)
    expect(await put(edge, '/operation_mode', '<b>')).to.equal(422)
  })

  it('a model with hostile categories answers their names as they are', async () => {
    const before = await everything()
    const categories = [
      { id: '../../../../tmp/owned', name: '<img src=x onerror=alert(1)>', type: 'box' },
      { id: '__proto__', name: '__proto__', type: 'box' },
    ]
    const { id, version } = await edge.addModel([{ name: 'model.json', data: JSON.stringify({ categories }) }])
    await edge.loop.setTarget(ORGANIZATION, PROJECT, id)
    await edge.untilModel(version)

    const { body } = await detect(edge, await plainJpeg(64, 48, 'red'), { autoupload: 'disabled' })

    expect(body.box_detections?.[0]).to.include({ category_name: categories[0]?.name, category_id: categories[0]?.id })
    const added = (await everything()).filter((name) => !before.includes(name) && !name.startsWith('models/'))
    expect(added).to.deep.equal([])
    const metrics = await (await fetch(`${edge.url}/metrics`)).text()
    expect(metrics).not.to.contain('onerror')
  })

  async function waiting(): Promise<string[]> {
    return await readdir(join(edge.data, 'outbox', 'normal'))
  }

  /** Every file and folder below the data folder and beside it, without what the models and the Loop write. */
  async function everything(): Promise<string[]> {
    const beside = (await readdir(edge.folder)).map((name) => `../${name}`)
    return [...(await readdir(edge.data)), ...beside]
  }
})

/** A PNG of 900 million white pixels in some hundred kilobytes. */
function bomb(width: number, height: number): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 1 // bit per pixel, grey
  const rows = deflateSync(Buffer.alloc(height * (1 + Math.ceil(width / 8))), { level: 1 })
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))])
}

function chunk(type: string, data: Buffer): Buffer {
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  const typed = Buffer.concat([Buffer.from(type), data])
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(crc32(typed))
  return Buffer.concat([length, typed, sum])
}
