import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { type Answer, detect } from '../helpers/edge-clients.js'
import { type Edge, startEdge } from '../helpers/edge-detector.js'

const MODULE = fileURLToPath(new URL('../fixtures/inference/misbehaves.mjs', import.meta.url))
const CLIENTS = 6
const THREADS = 2
/** Beside the first, one that meets the threads that were started again; a third only when both came late. */
const ROUNDS = { least: 2, most: 3 }
/** Between two images of a client, so that they wait for threads and not for the core that makes the requests. */
const PAUSE_MS = 10
/** After the failure has been answered; a hang is seen only after half the deadline. */
const NEXT_ANSWER_WITHIN_MS = 2000
const DEADLINE_MS = 8000

describe('A detector under load', function () {
  this.timeout(120_000)
  let edge: Edge
  before(async () => {
    const backend = ['--backend', 'module', '--module', MODULE, '--format', 'onnx']
    edge = await startEdge({ args: [...backend, '--threads', `${THREADS}`, '--deadline', `${DEADLINE_MS / 1000}`] })
  })
  after(() => edge.close())

  /** Sends a fault to every thread at the same time, again and again, while others are served. */
  async function underLoad(fault: string): Promise<{ readonly faulty: Answer[]; readonly good: Answer[] }> {
    const good: Answer[] = []
    const faulty: Answer[] = []
    const waited: number[] = []
    let isOver = false
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (!isOver) {
        good.push(await ask('fine'))
        await sleep(PAUSE_MS)
      }
    })
    // The best round counts, since others use the machine too.
    const isInTime = () => Math.min(...waited) <= NEXT_ANSWER_WITHIN_MS
    for (let round = 0; round < ROUNDS.least || (round < ROUNDS.most && !isInTime()); round += 1) {
      faulty.push(...(await Promise.all(Array.from({ length: THREADS }, () => ask(fault)))))
      const failedAt = performance.now()
      good.push(await ask('fine'))
      waited.push(performance.now() - failedAt)
    }
    isOver = true
    await Promise.all(clients)
    console.log(`      next good answer after ${waited.map(Math.round).join(', ')} ms`)
    expect(Math.min(...waited), 'ms to the next good answer').to.be.at.most(NEXT_ANSWER_WITHIN_MS)
    return { faulty, good }
  }

  const ask = (name: string) => detect(edge, Buffer.from(name), { autoupload: 'disabled' })

  for (const { fault, status } of [
    { fault: 'throws', status: 500 },
    { fault: 'throws later', status: 503 },
    { fault: 'exits', status: 503 },
    { fault: 'loops', status: 503 },
    { fault: 'never answers', status: 503 },
    { fault: 'answers nonsense', status: 500 },
  ]) {
    it(`loses only the images at which a thread ${fault}, though all its threads do at the same time`, async () => {
      const { faulty, good } = await underLoad(fault)

      expect(faulty).to.have.lengthOf.at.least(ROUNDS.least * THREADS)
      expect(new Set(faulty.map((answer) => answer.status))).to.deep.equal(new Set([status]))
      for (const answer of faulty) expect(answer.body.detail).to.be.a('string')
      expect(new Set(good.map((answer) => answer.status))).to.deep.equal(new Set([200]))
      expect(good.length).to.be.at.least(ROUNDS.least)
      expect(edge.detector.hasExited).to.equal(false)
    })
  }
})
