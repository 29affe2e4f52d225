import { type ClientRequest, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { detect, memoryOf } from '../helpers/edge-clients.js'
import { type Edge, startEdge } from '../helpers/edge-detector.js'
import { sendThenRead } from '../helpers/send-then-read.js'
import { times } from '../helpers/thorough.js'
import { plainJpeg } from '../inference/images.js'

const MB = 1024 * 1024
const MOST_BODY = 64 * MB
const IDLE = 450
const SLOW = 50
const ROUNDS = 3
const REFUSED = times(6, 20)
const GOOD_RATIO = 2
const PAUSE_MS = 50
const FORM = { 'content-type': 'multipart/form-data; boundary=b' }
const PART = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'

type Crowd = { readonly answers: readonly Promise<string>[]; leave(): void }

describe('A whole detector among hostile clients', function () {
  this.timeout(150_000)
  let edge: Edge
  const sockets: Socket[] = []
  before(async () => {
    edge = await startEdge()
  })
  after(() => edge.close())
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    expect(edge.detector.hasExited).to.equal(false)
    expect(await good(), 'a good client afterwards').to.equal(200)
  })

  it('answers 413 to bodies that are too large, in bounded memory', async () => {
    const before = await memoryOf(edge)
    const answers: number[] = []
    for (let round = 0; round < 3; round += 1) {
      answers.push(await sendForm(MOST_BODY + 8 * MB, { 'content-length': MOST_BODY + 9 * MB }))
      answers.push(await sendForm(MOST_BODY + 8 * MB, { 'transfer-encoding': 'chunked' }))
    }

    expect(new Set(answers)).to.deep.equal(new Set([413]))
    // What came up to the limit is held once.
    expect((await memoryOf(edge)).mostMb - before.nowMb).to.be.at.most(400)
  })

  it('lets every client see its 413, though it reads only when it has sent 80 MB', async () => {
    const head = ['POST /detect HTTP/1.1', `content-type: ${FORM['content-type']}`]
    const body = Buffer.alloc(80 * MB)
    const answers: string[] = []
    for (let count = 0; count < REFUSED; count += 1) answers.push(await sendThenRead(edge.url, head, body))

    const seen = answers.filter((answer) => /^HTTP\/1\.1 413 .*^connection: close.*\{"detail":"/ims.test(answer))
    expect(seen, answers.join('\n')).to.have.lengthOf(REFUSED)
  })

  it('cuts off who goes on sending indefinitely after its 413', async () => {
    const { socket, answer } = open()
    const chunk = Buffer.alloc(MB)

    socket.write(`POST /detect HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${FORM['content-type']}\r\n`)
    socket.write(`content-length: ${1e12}\r\n\r\n${PART}`)
    while (!socket.destroyed) await new Promise((resolve) => socket.write(chunk, resolve))

    expect(await answer).to.match(/^HTTP\/1\.1 413 /)
    expect(socket.bytesWritten).to.be.at.most(1e9) // half of it for the answer, some in the buffers of the system
  })

  it('answers 431 to thousands of headers', async () => {
    const { socket, answer } = open()

    socket.write(`POST /detect HTTP/1.1\r\nhost: 127.0.0.1\r\n${'x-a: y\r\n'.repeat(5000)}\r\n`)

    expect(await answer).to.match(/^HTTP\/1\.1 431 /)
  })

  it('serves good clients while 450 connections idle and 50 bodies come slowly, and cuts those off', async () => {
    const ratios: number[] = []
    let crowd: Crowd | undefined
    // The best round counts, since others use the machine too: once one is good, more cannot change that.
    for (let round = 0; round < ROUNDS && !ratios.some((ratio) => ratio <= GOOD_RATIO); round += 1) {
      crowd?.leave()
      const alone = await timesWhile(() => sleep(2000))
      crowd = gather()
      const among = await timesWhile(() => sleep(2000))
      expect(new Set([...alone.statuses, ...among.statuses])).to.deep.equal(new Set([200]))
      ratios.push(among.p99Ms / alone.p99Ms)
    }
    const last = crowd?.answers ?? []
    const untilCut = await timesWhile(() => Promise.all(last), PAUSE_MS)
    crowd?.leave()

    for (const answer of last) expect(await answer).to.match(/^(HTTP\/1\.1 408 |$)/)
    expect(new Set(untilCut.statuses)).to.deep.equal(new Set([200]))
    console.log(
      `      p99 of good clients among them, by that alone: ${ratios.map((ratio) => ratio.toFixed(1)).join(', ')}`,
    )
    expect(Math.min(...ratios)).to.be.at.most(GOOD_RATIO)
  })

  /** Connections that idle, and such that send their bodies slowly. */
  function gather(): Crowd {
    const idle = Array.from({ length: IDLE }, () => open())
    const slow = Array.from({ length: SLOW }, () => open())
    for (const { socket } of slow) {
      socket.write(`POST /detect HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${FORM['content-type']}\r\n`)
      socket.write(`content-length: 99999\r\n\r\n${PART}`)
    }
    const dribble = setInterval(() => {
      for (const { socket } of slow) if (socket.writable) socket.write('x')
    }, 200)
    const leave = () => {
      clearInterval(dribble)
      for (const { socket } of [...idle, ...slow]) socket.destroy()
    }
    return { answers: [...idle, ...slow].map(({ answer }) => answer), leave }
  }

  async function good(): Promise<number> {
    return (await detect(edge, await plainJpeg(64, 48, 'red'), { autoupload: 'disabled' })).status
  }

  /** What two good clients see while something else goes on. */
  async function timesWhile(work: () => Promise<unknown>, pauseMs = 0): Promise<{ statuses: number[]; p99Ms: number }> {
    const taken: { readonly status: number; readonly ms: number }[] = []
    let isOver = false
    const clients = Array.from({ length: 2 }, async () => {
      while (!isOver) {
        const startedAt = performance.now()
        taken.push({ status: await good(), ms: performance.now() - startedAt })
        if (pauseMs > 0) await sleep(pauseMs)
      }
    })
    await work()
    isOver = true
    await Promise.all(clients)
    const sorted = taken.map(({ ms }) => ms).sort((one, other) => one - other)
    return { statuses: taken.map(({ status }) => status), p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0 }
  }

  /** A bare connection, and all that came over it when it was closed. */
  function open(): { readonly socket: Socket; readonly answer: Promise<string> } {
    const socket = connect(Number(new URL(edge.url).port), '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => undefined)
    let received = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      received += chunk
    })
    return { socket, answer: new Promise((resolve) => socket.once('close', () => resolve(received))) }
  }

  /** Sends a form with a file of so many bytes, and goes on sending until it is answered. */
  async function sendForm(bytes: number, headers: Readonly<Record<string, string | number>>): Promise<number> {
    const asked = request(`${edge.url}/detect`, { method: 'POST', headers: { ...FORM, ...headers }, agent: false })
    const status = new Promise<number>((resolve, reject) => {
      asked.once('response', (response) => {
        text(response).then(() => resolve(response.statusCode ?? 0), reject)
      })
      asked.once('error', reject)
    })
    await Promise.race([status, writeForm(asked, bytes)])
    return await status.finally(() => asked.destroy())
  }
})

async function writeForm(asked: ClientRequest, bytes: number): Promise<void> {
  const chunk = Buffer.alloc(MB)
  const closed = new Promise((resolve) => asked.once('close', resolve))
  asked.write(PART)
  for (let sent = 0; sent < bytes && asked.writable && !asked.destroyed; sent += chunk.length) {
    if (!asked.write(chunk)) await Promise.race([new Promise((resolve) => asked.once('drain', resolve)), closed])
  }
  asked.end('\r\n--b--\r\n')
}
