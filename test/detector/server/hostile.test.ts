import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import sharp from 'sharp'
import { until } from '../../helpers/until.js'
import { plainJpeg, redOnGreen } from '../../inference/images.js'
import { type DetectorFixture, startDetectorFixture } from '../detector-fixture.js'

describe('Hostile and clumsy clients of a detector', function () {
  this.timeout(60_000)
  const limits = {
    maxBodyBytes: 300_000,
    maxFiles: 5,
    headersMs: 1000,
    bodyRate: { leastBytes: 1000, everyMs: 1000 },
    maxConnections: 600,
  }
  let fixture: DetectorFixture
  const sockets: Socket[] = []
  before(async () => {
    fixture = await startDetectorFixture({ limits })
  })
  after(() => fixture.close())
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    expect(await good(), 'a good client afterwards').to.equal(200)
  })

  /** A bare connection, and all that came over it when it was closed. */
  function open(): { readonly socket: Socket; readonly answer: Promise<string> } {
    const socket = connect(fixture.port, '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => undefined)
    let received = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      received += chunk
    })
    return { socket, answer: new Promise((resolve) => socket.once('close', () => resolve(received))) }
  }

  async function good(): Promise<number> {
    const body = new FormData()
    body.append('file', new Blob([new Uint8Array(await plainJpeg(64, 48, 'red'))]), 'a.jpg')
    return (await fetch(`${fixture.url}/detect`, { method: 'POST', body })).status
  }

  async function send(path: string, body: Buffer, headers: Record<string, string | number>) {
    const asked = request(`${fixture.url}${path}`, { method: 'POST', headers, agent: new Agent() })
    const answer = new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      asked.once('response', (response) => {
        text(response).then((received) => resolve({ status: response.statusCode, body: received }), reject)
      })
      asked.once('error', reject)
    })
    asked.end(body)
    return answer
  }

  const part = (content: Buffer, name = 'file') =>
    Buffer.concat([
      Buffer.from(`--b\r\nContent-Disposition: form-data; name="${name}"; filename="a.jpg"\r\n\r\n`),
      content,
      Buffer.from('\r\n'),
    ])
  const form = { 'content-type': 'multipart/form-data; boundary=b' }
  const END = Buffer.from('--b--\r\n')

  it('get 413 for a body that is too large, whether or not they say so before', async () => {
    const body = Buffer.concat([part(Buffer.alloc(400_000)), END])

    const told = await send('/detect', body, { ...form, 'content-length': body.length })
    const untold = await send('/detect', body, { ...form, 'transfer-encoding': 'chunked' })

    expect([told.status, untold.status]).to.deep.equal([413, 413])
    expect(JSON.parse(untold.body)).to.have.all.keys('detail')
  })

  it('get 413 for too many files', async () => {
    const jpeg = await plainJpeg(8, 8, 'red')
    const body = Buffer.concat([...Array.from({ length: 30 }, () => part(jpeg, 'files')), END])

    expect((await send('/upload', body, form)).status).to.equal(413)
    expect(fixture.kept).to.be.empty
  })

  it('get 431 for thousands of headers', async () => {
    const { socket, answer } = open()
    const headers = Array.from({ length: 5000 }, (_, index) => `x-${index}: y`).join('\r\n')

    socket.write(`POST /detect HTTP/1.1\r\nhost: 127.0.0.1\r\n${headers}\r\n\r\n`)

    expect(await answer).to.match(/^HTTP\/1\.1 431 .*\{"detail":/s)
  })

  it('get 400 for a body that is no form, or breaks off', async () => {
    const jpeg = await plainJpeg(64, 48, 'red')
    const bodies = [Buffer.from('rubbish'), part(jpeg), Buffer.concat([part(jpeg).subarray(0, 200)])]

    for (const body of bodies) {
      const { status, body: received } = await send('/detect', body, form)
      expect(status, received).to.be.oneOf([400, 422])
    }
    const noBoundary = await send('/detect', part(jpeg), { 'content-type': 'multipart/form-data' })
    expect(noBoundary.status).to.be.oneOf([400, 422])
  })

  it('get 400 for what is no HTTP', async () => {
    const { socket, answer } = open()

    socket.write('\x16\x03\x01 hello\r\n\r\n')

    expect(await answer).to.match(/^HTTP\/1\.1 400 /)
  })

  it('are cut off when their headers come too slowly, or not at all', async () => {
    const [silent, slow] = [open(), open()]
    const dribble = setInterval(() => slow.socket.writable && slow.socket.write('x'), 100)

    slow.socket.write('POST /detect HTTP/1.1\r\nx-slow: ')
    const answers = await Promise.all([silent.answer, slow.answer])
    clearInterval(dribble)

    for (const answer of answers) expect(answer).to.match(/^(HTTP\/1\.1 408 |$)/)
  })

  it('are cut off when their body comes too slowly', async () => {
    const { socket, answer } = open()
    socket.write(
      'POST /detect HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 9999\r\n\r\n',
    )
    const dribble = setInterval(() => socket.writable && socket.write('-'), 100)

    const received = await answer
    clearInterval(dribble)

    expect(received).to.match(/^(HTTP\/1\.1 408 |$)/)
  })

  it('leave without a trace in the middle of an upload', async () => {
    for (let count = 0; count < 20; count += 1) {
      const { socket } = open()
      socket.write(
        'POST /upload HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 99999\r\n\r\n',
      )
      socket.write(part(Buffer.alloc(5000), 'files'))
      await sleep(5)
      socket.destroy()
    }

    await until('their images are out of the way', () => fixture.detector.figures().imagesInFlight === 0)
    expect(fixture.kept).to.be.empty
  })

  it('cannot keep others from their answers with 500 idle connections and slow bodies', async () => {
    const before = await timesOf(40)
    const idle = Array.from({ length: 500 }, () => open())
    const dribbles = idle.slice(0, 50).map(({ socket }) => {
      socket.write('POST /detect HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 9000\r\n')
      return setInterval(() => socket.writable && socket.write('x: y\r\n'), 50)
    })

    const during = await timesOf(40)
    for (const dribble of dribbles) clearInterval(dribble)

    expect(during.statuses).to.deep.equal(Array(40).fill(200))
    // Generous, since tests share their machine; the figure itself is measured by hand.
    expect(during.p99Ms).to.be.at.most(Math.max(10 * before.p99Ms, 2000))
    await Promise.all(idle.map(({ answer }) => answer)) // all of them are cut off in the end
  })

  it('may send images of every kind', async () => {
    const red = sharp(await redOnGreen(64, 48, { left: 16, top: 16, width: 24, height: 16 }))
    const images: Record<string, Buffer> = {
      CMYK: await red.clone().toColourspace('cmyk').jpeg().toBuffer(),
      rotated: await red.clone().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
      grey: await red.clone().greyscale().jpeg().toBuffer(),
      'of one pixel': await plainJpeg(1, 1, 'red'),
      'with alpha': await red.clone().ensureAlpha(0.5).png().toBuffer(),
      progressive: await red.clone().jpeg({ progressive: true }).toBuffer(),
      webp: await red.clone().webp().toBuffer(),
    }

    for (const [kind, image] of Object.entries(images)) {
      const { status, body } = await send('/detect', Buffer.concat([part(image), END]), { ...form, autoupload: 'all' })
      expect(status, `${kind}: ${body}`).to.equal(200)
    }
    expect(fixture.kept).to.have.lengthOf(Object.keys(images).length)
    for (const { image } of fixture.kept.splice(0))
      expect((await sharp(image.bytes).metadata()).format).to.equal('jpeg')
  })

  it('get boxes of a rotated image where they are seen', async () => {
    const red = sharp(await redOnGreen(64, 48, { left: 16, top: 16, width: 24, height: 16 }))
    const ask = async (image: Buffer) => {
      const { body } = await send('/detect', Buffer.concat([part(image), END]), { ...form, autoupload: 'disabled' })
      return JSON.parse(body).box_detections
    }

    const turned = await ask(await red.clone().rotate(90).jpeg({ quality: 100 }).toBuffer())
    const tagged = await ask(await red.clone().withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toBuffer())
    const stored = await ask(await red.clone().jpeg({ quality: 100 }).toBuffer())

    expect(tagged).to.deep.equal(turned)
    expect(tagged).not.to.deep.equal(stored)
  })

  async function timesOf(count: number): Promise<{ readonly statuses: number[]; readonly p99Ms: number }> {
    const taken: { status: number; ms: number }[] = []
    for (let index = 0; index < count; index += 1) {
      const startedAt = performance.now()
      taken.push({ status: await good(), ms: performance.now() - startedAt })
    }
    const sorted = taken.map(({ ms }) => ms).sort((a, b) => a - b)
    return { statuses: taken.map(({ status }) => status), p99Ms: sorted.at(-1) ?? 0 }
  }
})
