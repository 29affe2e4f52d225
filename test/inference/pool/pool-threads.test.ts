import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import type { OnnxBackend } from '../../../src/inference/backends/backend.js'
import { lostThreadCount, tooManyThreadsLost } from '../../../src/inference/basics/lost-threads.js'
import type { InferencePool, InferencePoolOptions } from '../../../src/inference/pool/pool.js'
import { until } from '../../helpers/until.js'
import { plainJpeg } from '../images.js'
import { rejection } from '../rejection.js'
import { usePools } from '../use-pools.js'

const categories = [
  { id: 'id-a', name: 'A', type: 'box' },
  { id: 'id-b', name: 'B', type: 'box' },
]
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
const breaksOnDemand = new URL(`../../fixtures/inference/breaks-on-demand${extension}`, import.meta.url)

function fixture(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/onnx/${name}`, import.meta.url))
}

describe('The threads of the inference pool', () => {
  let folder: string
  const pools = usePools()

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-inference-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true })
  })

  async function start(
    model: string,
    options: Omit<Partial<InferencePoolOptions>, 'backend'> & { backend?: Partial<OnnxBackend> } = {},
    threadFile?: URL,
  ): Promise<InferencePool> {
    const backend = { kind: 'onnx' as const, modelFile: fixture(model), categories, ...options.backend }
    return await pools.start({ ...options, backend }, threadFile)
  }

  describe('that run a model', () => {
    it('has loaded the model in every thread when it is there, and uses them all', async () => {
      const pool = await start('constant-yolov5.onnx')
      expect(pool.threadIds).to.have.lengthOf(2)
      const bytes = await plainJpeg(640, 480, '#ff0000')

      const answers = await Promise.all(Array.from({ length: 20 }, () => pool.detect({ bytes })))

      expect(new Set(answers.map(({ threadId }) => threadId))).to.deep.equal(new Set(pool.threadIds))
    })

    it('loses only the request of a thread that exits, and goes on with a new thread', async () => {
      const pool = await start('constant-yolov5.onnx', {}, breaksOnDemand)
      const bytes = await plainJpeg(640, 480, '#ff0000')
      const others = Array.from({ length: 10 }, () => pool.detect({ bytes }))

      const error = await rejection(pool.detect({ path: 'please-exit.jpg' }))

      expect(error.code).to.equal('LF_INFERENCE_THREAD_DIED')
      expect(error.message).to.contain('exited with code: 9')
      expect(error.failure).to.equal('transient')
      expect(await Promise.all(others)).to.have.lengthOf(10)
      const later = await Promise.all(Array.from({ length: 10 }, () => pool.detect({ bytes })))
      expect(later.every(({ detections }) => detections.box_detections.length === 2)).to.equal(true)
    })

    it('loses only the request of a thread that throws, within or outside of its task', async () => {
      const pool = await start('constant-yolov5.onnx', {}, breaksOnDemand)
      const bytes = await plainJpeg(64, 64, '#ff0000')

      const within = await rejection(pool.detect({ path: 'please-throw.jpg' }))
      const outside = await rejection(pool.detect({ path: 'please-throw-later.jpg' }))

      expect(within.message).to.contain('the thread threw')
      expect(outside.message).to.contain('thrown outside of the task')
      const answers = await Promise.all(Array.from({ length: 4 }, () => pool.detect({ bytes })))
      expect(answers).to.have.lengthOf(4)
    })

    it('ends and replaces a thread that hangs', async () => {
      const pool = await start('constant-yolov5.onnx', { timeoutMs: 1500, threads: 1 }, breaksOnDemand)

      const error = await rejection(pool.detect({ path: 'please-hang.jpg' }))

      expect(error.code).to.equal('LF_INFERENCE_TIMEOUT')
      const { detections } = await pool.detect({ bytes: await plainJpeg(64, 64, '#ff0000') })
      expect(detections.box_detections).to.have.lengthOf(2)
      expect(pool.threadIds).to.have.lengthOf(2)
    })
  })

  describe('inside ONNX Runtime, where ending a thread would abort the process', () => {
    it('answers a late image in time, and replaces its thread only when that is safe', async () => {
      const pool = await start('counts-for-a-while.onnx', { timeoutMs: 60, threads: 1 })

      const error = await rejection(pool.detect({ bytes: await plainJpeg(32, 32, '#ff0000') }))
      await pool.close()

      expect(error.code).to.equal('LF_INFERENCE_TIMEOUT')
    })

    it('lets the process exit with the code it asked for', async () => {
      const path = join(folder, 'image.jpg')
      await writeFile(path, await plainJpeg(32, 32, '#ff0000'))
      const script = fileURLToPath(new URL(`exits-while-detecting${extension}`, breaksOnDemand))

      const child = spawn(process.execPath, [...process.execArgv, script, fixture('counts-for-a-while.onnx'), path])
      const [exitCode] = await once(child, 'exit')

      expect(exitCode).to.equal(7)
    })
  })

  describe('with a thread that does not come back from native code', () => {
    const module = fileURLToPath(new URL('misbehaves.mjs', breaksOnDemand))
    const fine = { bytes: Buffer.from('fine') }

    async function startWithStuck(threads: number) {
      const backend = { kind: 'module' as const, file: module, modelFolder: folder, categories }
      const pool = await pools.start({ backend, threads, timeoutMs: 100 })
      const gate = await pools.makeGate(folder)
      const before = [...pool.threadIds]
      const lost = tooManyThreadsLost(new AbortController().signal, 1)
      const error = await rejection(pool.detect(gate.image))
      return { pool, gate, before, lost, error }
    }

    it('loses only its image, and goes on with other threads when it is lost', async () => {
      const { pool, gate, before, lost, error } = await startWithStuck(2)

      expect(error.code).to.equal('LF_INFERENCE_TIMEOUT')
      expect((await pool.detect(fine)).detections.box_detections).to.have.lengthOf(1)
      await lost
      expect(lostThreadCount()).to.equal(1)
      await until('two other threads', () => pool.threadIds.length === 4, 60_000)
      const answers = await Promise.all(Array.from({ length: 8 }, () => pool.detect(fine)))
      expect(before).to.not.include.members(answers.map(({ threadId }) => threadId))
      await gate.open()
      await until('it has exited', () => lostThreadCount() === 0, 60_000)
      expect((await pool.detect(fine)).detections.box_detections).to.have.lengthOf(1)
    })

    it('lets images wait for another thread when it was the only one', async () => {
      const { pool, before } = await startWithStuck(1)

      const { threadId } = await pool.detect(fine)

      expect(before).to.not.include(threadId)
    })

    it('is not waited for when the pool is closed, and has ended when it comes out', async () => {
      const { pool, gate, lost } = await startWithStuck(1)
      await lost

      await pool.close()

      expect(lostThreadCount()).to.equal(1)
      await gate.open()
      await until('it has exited', () => lostThreadCount() === 0, 60_000)
    })
  })
})
