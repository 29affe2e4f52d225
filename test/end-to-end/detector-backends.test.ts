import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { listProcesses } from '../../src/process/proc.js'
import { type Answer, detect } from '../helpers/edge-clients.js'
import { type Edge, ORGANIZATION, PROJECT, startEdge } from '../helpers/edge-detector.js'
import { projectRoot } from '../helpers/project-root.js'
import { until } from '../helpers/until.js'
import { redOnGreen } from '../inference/images.js'

const example = (file: string) => join(projectRoot(), 'examples', file)
const PROGRAM = example('detector-program/detector.py')
const BACKENDS = {
  program: ['--backend', 'program', '--program', 'python3', PROGRAM],
  module: ['--backend', 'module', '--module', example('detector-module/detector.mjs')],
}
const SQUARE = { left: 64, top: 32, width: 48, height: 32 }
/** Both look at every second row and column. */
const STEP = 2
const CLIENTS = 4
/** Between two images of a client. */
const PAUSE_MS = 10
const KILLS = 3
const NEXT_ANSWER_WITHIN_MS = 10_000

for (const [kind, args] of Object.entries(BACKENDS)) {
  describe(`loopfleet detector --backend ${kind} with the example`, function () {
    this.timeout(120_000)
    let edge: Edge
    before(async () => {
      edge = await startEdge({ args })
    })
    after(() => edge.close())

    it('finds what is red, named by a category of the model that the Loop deployed', async () => {
      const { status, body } = await detectRed(edge)

      expect(status, JSON.stringify(body)).to.equal(200)
      expect(body.box_detections).to.have.lengthOf(1)
      const [box] = body.box_detections ?? []
      expect(box).to.include({ category_name: 'circle', model_name: '1.0' })
      expect(box?.x).to.be.closeTo(SQUARE.left, STEP)
      expect(box?.y).to.be.closeTo(SQUARE.top, STEP)
      expect(box?.width).to.be.closeTo(SQUARE.width, 2 * STEP)
      expect(box?.height).to.be.closeTo(SQUARE.height, 2 * STEP)
    })

    it('refuses what is no image, and answers the next one', async () => {
      const refused = await detect(edge, Buffer.from('no image'))

      expect(refused.status).to.be.within(400, 422)
      expect(refused.body.detail).to.be.a('string')
      expect((await detectRed(edge)).status).to.equal(200)
    })

    it('exchanges its model while clients ask, and answers each of them', async () => {
      const asking = askAllTheTime(edge)
      const { id, version } = await edge.addModel()

      await edge.loop.setTarget(ORGANIZATION, PROJECT, id)
      await edge.untilModel(version)

      expect(new Set((await asking.end()).map(({ status }) => status))).to.deep.equal(new Set([200]))
      expect((await detectRed(edge)).body.box_detections?.[0]?.model_name).to.equal(version)
    })

    if (kind === 'program') {
      describe('which', () => {
        it(`is started again when it is killed while clients ask, ${KILLS} times, and only what it held is lost`, async () => {
          const asking = askAllTheTime(edge)
          for (let kill = 0; kill < KILLS; kill += 1) {
            await detectRed(edge) // it answers, so this is its first failure in a row
            const [pid] = await programsOf(edge)
            if (pid === undefined) throw new Error('no program runs')
            process.kill(pid, 'SIGKILL')
            const killedAt = performance.now()

            await until('another one runs', async () => (await programsOf(edge)).some((other) => other !== pid), 30_000)
            await until('it answers', async () => (await detectRed(edge)).status === 200, 30_000)

            expect(performance.now() - killedAt, 'ms to the next answer').to.be.at.most(NEXT_ANSWER_WITHIN_MS)
          }
          const answers = await asking.end()

          const failed = answers.filter(({ status }) => status !== 200)
          expect(failed.length, 'failed answers').to.be.at.most(KILLS)
          for (const { status, headers, body } of failed) {
            expect(status, JSON.stringify(body)).to.equal(503)
            expect(Number(headers.get('retry-after'))).to.be.at.least(1)
            expect(body.detail).to.contain('program ended')
          }
          expect(answers.length).to.be.greaterThan(failed.length)
          expect(edge.detector.hasExited).to.equal(false)
        })

        it('is one process per model, and ends with the detector even when that is killed', async () => {
          const { id, version } = await edge.addModel()
          await edge.loop.setTarget(ORGANIZATION, PROJECT, id)
          await edge.untilModel(version)
          const programs = await until('the old one has ended', async () => {
            const running = await programsOf(edge)
            return running.length === 1 ? running : undefined
          })

          await edge.detector.kill('SIGKILL')

          await until('it has ended', async () => {
            const alive = (await listProcesses()).filter(({ isZombie }) => !isZombie)
            return !alive.some(({ pid }) => programs.includes(pid))
          })
        })
      })
    }
  })
}

let redImage: Promise<Buffer> | undefined

async function detectRed(edge: Edge): Promise<Answer> {
  redImage ??= redOnGreen(160, 96, SQUARE)
  return await detect(edge, await redImage, { autoupload: 'disabled' })
}

/** Clients that ask one thing after the other until they are ended; all their answers. */
function askAllTheTime(edge: Edge): { end(): Promise<Answer[]> } {
  const answers: Answer[] = []
  let isOver = false
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (!isOver) {
      answers.push(await detectRed(edge))
      await sleep(PAUSE_MS)
    }
  })
  return {
    async end() {
      isOver = true
      await Promise.all(clients)
      return answers
    },
  }
}

/** The processes of the example that this detector has started and that live. */
async function programsOf({ detector }: Edge): Promise<number[]> {
  const children = (await listProcesses()).filter(({ parentPid, isZombie }) => parentPid === detector.pid && !isZombie)
  const found: number[] = []
  for (const { pid } of children) {
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (words.split('\0').includes(PROGRAM)) found.push(pid)
  }
  return found
}
