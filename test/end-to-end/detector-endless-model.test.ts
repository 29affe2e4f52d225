import { readFileSync } from 'node:fs'
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { detect } from '../helpers/edge-clients.js'
import { type Edge, ORGANIZATION, PROJECT, startEdge } from '../helpers/edge-detector.js'
import { projectRoot } from '../helpers/project-root.js'
import { until } from '../helpers/until.js'
import { plainJpeg } from '../inference/images.js'

const ONNX = join(projectRoot(), 'test/fixtures/onnx')
const COUNTS = join(ONNX, 'counts-without-end.onnx')
const MULTIPLIES = join(ONNX, 'multiplies-without-end.onnx')
const DECODER = '{"layout": "yolov8"}'

/** Hundredths of a second that the process has used. */
function cpuTicksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}

describe('A model that does not answer its first image', function () {
  this.timeout(180_000)
  let edge: Edge
  afterEach(() => edge.close())

  async function addEndless(model: string) {
    return await edge.addModel([
      { name: 'model.onnx', data: await readFile(model) },
      { name: 'decoder.json', data: DECODER },
    ])
  }

  const target = (id: string) => edge.loop.setTarget(ORGANIZATION, PROJECT, id)
  const errors = () => edge.loop.nodes().find(({ type }) => type === 'detector')?.errors ?? {}

  it('is refused after its time while the one before serves, and the next target gets in', async () => {
    edge = await startEdge({ args: ['--warm-up', '2'] })
    const endless = await addEndless(MULTIPLIES)

    await target(endless.id)
    await until('it is refused', () => 'update_model' in errors(), 60_000)

    expect(errors().update_model).to.match(/did not answer its first image within 2 s/)
    expect(errors().lost_threads).to.match(/^A thread does not come back from a model/)
    expect((await detect(edge, await plainJpeg(64, 48, 'red'))).status).to.equal(200)
    expect((await edge.about()).model_info).to.include({ version: '1.0' })

    const next = await edge.addModel()
    await target(next.id)
    await edge.untilModel(next.version)
    expect((await detect(edge, await plainJpeg(64, 48, 'red'))).status).to.equal(200)

    expect((await edge.detector.end()).seconds).to.be.below(9)
  })

  it('does not keep the detector from ending while it is tried', async () => {
    edge = await startEdge()
    await target((await addEndless(MULTIPLIES)).id)
    const isLoading = async () => (await edge.detector.log()).split('loading a model').length > 2
    await until('it is being loaded', isLoading, 60_000)
    const before = cpuTicksOf(edge.detector.pid)
    await until('it works on an image', () => cpuTicksOf(edge.detector.pid) - before > 50, 60_000)

    const { seconds } = await edge.detector.end()

    expect(seconds).to.be.below(9)
  })

  it('is refused also at the start, where the reason is answered until another one comes', async () => {
    edge = await startEdge()
    await edge.detector.end()
    await edge.stopLoop()
    const folder = join(edge.data, 'models/1.0')
    await copyFile(COUNTS, join(folder, 'model.onnx'))
    await writeFile(join(folder, 'decoder.json'), DECODER)
    await rm(join(folder, '.loopfleet.json')) // as a model of the Python library, whose files nobody has counted

    await edge.start({ args: ['--warm-up', '2'], waitForModel: false })
    await until('it is refused', async () => String((await edge.about()).model_problem).includes('first image'), 60_000)

    const answer = await detect(edge, await plainJpeg(64, 48, 'red'))
    expect(answer.status).to.equal(503)
    expect(answer.body.detail).to.include('did not answer its first image within 2 s')
    expect(await edge.detector.log()).to.include('no model is loaded')

    await edge.startLoop()
    const next = await edge.addModel()
    await target(next.id)
    await edge.untilModel(next.version)
  })
})
