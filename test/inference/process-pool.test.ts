import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { lostThreadCount } from '../../src/inference/basics/lost-threads.js'
import { createProcessPool, type InferencePool } from '../../src/inference/pool/pool.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { rejection } from './rejection.js'
import { usePools } from './use-pools.js'

const module = fileURLToPath(new URL('../fixtures/inference/misbehaves.mjs', import.meta.url))
const categories = [{ id: 'id-a', name: 'A', type: 'box' }]
const image = (name: string) => ({ bytes: Buffer.from(name) })

describe('An inference pool in a process of its own', function () {
  this.timeout(60_000)
  const { makeGate } = usePools() // before the folder, which is then removed after the gates are open
  const folder = useTemporaryFolder()
  let pool: InferencePool

  beforeEach(async () => {
    const backend = { kind: 'module' as const, file: module, modelFolder: folder.path, categories }
    pool = await createProcessPool({ backend, threads: 2, timeoutMs: 500 }, { log: silentLogger() })
  })
  afterEach(() => pool.close())

  const processId = async () => (await pool.detect(image('names its process'))).detections.box_detections[0]?.x

  it('answers images, and fails with the errors of a pool', async () => {
    expect((await pool.detect(image('fine'))).detections.box_detections).to.have.lengthOf(1)
    expect((await rejection(pool.detect(image('throws')))).code).to.equal('LF_INFERENCE_FAILED')
    expect((await rejection(pool.detect(image('has no category')))).code).to.equal('LF_DETECT_OUTPUT')
  })

  it('loses only the images at work when the process ends, and goes on in another one', async () => {
    const first = await processId()
    const ends = rejection(pool.detect(image('ends the process')))
    const others = Array.from({ length: 6 }, () => pool.detect(image('fine')))

    const error = await ends
    const settled = await Promise.allSettled(others)

    expect(error.code).to.equal('LF_INFERENCE_THREAD_DIED')
    expect(error.failure).to.equal('transient')
    expect(settled.filter(({ status }) => status === 'rejected').length).to.be.at.most(1)
    expect(await processId()).to.not.equal(first)
  })

  it('is replaced when three of its threads hang in native code, which leaves none in this process', async () => {
    const gate = await makeGate(folder.path)
    const first = await processId()

    for (let lost = 1; lost <= 3; lost++) {
      expect((await rejection(pool.detect(gate.image))).code).to.equal('LF_INFERENCE_TIMEOUT')
    }

    await until('another process answers', async () => (await processId().catch(() => first)) !== first, 40_000)
    expect(lostThreadCount()).to.equal(0)
  })

  it('ends with its threads when it is closed', async () => {
    const gate = await makeGate(folder.path)
    await rejection(pool.detect(gate.image))

    await pool.close()

    expect((await rejection(pool.detect(image('fine')))).code).to.equal('LF_INFERENCE_CLOSED')
  })
})
