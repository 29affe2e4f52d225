import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { expect } from 'chai'
import type { Backend } from '../../src/inference/backends/backend.js'
import { InferenceError } from '../../src/inference/basics/errors.js'
import type { InferencePool, InferencePoolOptions } from '../../src/inference/pool/pool.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { plainJpeg } from './images.js'
import { rejection } from './rejection.js'
import { usePools } from './use-pools.js'

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/inference/${name}`, import.meta.url))
const image = (name: string) => ({ bytes: Buffer.from(name) })
const categories = [{ id: 'id-a', name: 'A', type: 'box' }]

describe('A detector backend that fails', () => {
  const folder = useTemporaryFolder()
  const pools = usePools()

  async function start(backend: Backend, options: Partial<InferencePoolOptions> = {}): Promise<InferencePool> {
    return await pools.start({ threads: 1, ...options, backend })
  }
  const module = (modelFolder = folder.path, file = 'misbehaves.mjs'): Backend => ({
    kind: 'module',
    file: fixture(file),
    modelFolder,
    categories,
  })
  const program = (modelFolder = folder.path): Backend => ({
    kind: 'program',
    command: ['python3', fixture('misbehaves.py')],
    cwd: folder.path,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    modelFolder,
    categories,
  })

  /** The fault costs its own image and no other, again and again. */
  async function survives(pool: InferencePool, fault: string): Promise<string> {
    let code = ''
    for (let round = 0; round < 2; round++) {
      const before = Array.from({ length: 3 }, () => pool.detect(image('fine')))
      const failed = rejection(pool.detect(image(fault)))
      const after = Array.from({ length: 3 }, () => pool.detect(image('fine')))
      for (const { detections } of await Promise.all([...before, ...after])) {
        expect(detections.box_detections).to.have.lengthOf(1)
      }
      code = (await failed).code
    }
    expect(pool.inFlight).to.equal(0)
    return code
  }

  describe('as a module in a thread', function () {
    this.timeout(60_000)
    const faults: Record<string, string> = {
      throws: 'LF_INFERENCE_FAILED',
      'throws later': 'LF_INFERENCE_THREAD_DIED',
      loops: 'LF_INFERENCE_TIMEOUT',
      'never answers': 'LF_INFERENCE_TIMEOUT',
      exits: 'LF_INFERENCE_THREAD_DIED',
      'runs out of memory': 'LF_INFERENCE_THREAD_DIED',
      'has no category': 'LF_DETECT_OUTPUT',
      'is not a number': 'LF_DETECT_OUTPUT',
      'answers nonsense': 'LF_DETECT_OUTPUT',
    }
    for (const [fault, code] of Object.entries(faults)) {
      it(`loses only the image at which it ${fault}`, async () => {
        const timeoutMs = code === 'LF_INFERENCE_TIMEOUT' ? 1000 : 30_000
        const pool = await start(module(), { timeoutMs, maxHeapMb: 64 })

        expect(await survives(pool, fault)).to.equal(code)
      })
    }

    it('is ended while it decodes a JPEG only when that is safe, since it would end the process', async function () {
      this.timeout(60_000)
      const pool = await start(module(folder.path, 'decodes.mjs'), { timeoutMs: 10, threads: 1 })
      const bytes = await plainJpeg(6000, 4000, '#808080')

      for (let round = 0; round < 3; round++) {
        const code = await pool.detect({ bytes }).then(
          () => 'in time',
          (error: unknown) => (error instanceof InferenceError ? error.code : error),
        )
        expect(code).to.be.oneOf(['in time', 'LF_INFERENCE_TIMEOUT', 'LF_INFERENCE_DOWN'])
      }
    })

    it('loses only one image of a batch, whose others are tried alone', async () => {
      const pool = await start(module(join(folder.path, 'batches')), { threads: 1 })
      for (const [fault, code] of [
        ['exits', 'LF_INFERENCE_THREAD_DIED'],
        ['throws', 'LF_INFERENCE_FAILED'],
      ] as const) {
        const kept = ['fine', 'fine'].map((name) => pool.detect(image(name)))
        const lost = rejection(pool.detect(image(fault)))
        kept.push(pool.detect(image('fine')))

        expect((await lost).code).to.equal(code)
        expect(await Promise.all(kept)).to.have.lengthOf(3)
      }
    })

    it('gets the images that wait together, and one that comes alone immediately', async () => {
      const pool = await start(module(join(folder.path, 'batches')), { threads: 1 })

      const answers = await Promise.all(Array.from({ length: 6 }, () => pool.detect(image('fine'))))

      // The first was alone; of the five that then waited, four went together; the last one was alone again.
      const together = answers.map(
        ({ detections }) => detections.box_detections.length + detections.point_detections.length,
      )
      expect(together).to.deep.equal([1, 5, 5, 5, 5, 1])
    })

    /** So many images that one thread gets together, since it is known to be quick. */
    async function together(pool: InferencePool, names: readonly string[]) {
      for (let warm = 0; warm < 40; warm++) await pool.detect(image('fine'))
      const first = pool.detect(image('fine'))
      const others = names.map((name) =>
        name === 'fine' ? pool.detect(image(name)) : rejection(pool.detect(image(name))),
      )
      await first
      return others
    }

    it('loses only one of the quick images that went to the thread together, wherever it is among them', async () => {
      for (const [fault, code] of [
        ['exits', 'LF_INFERENCE_THREAD_DIED'],
        ['throws later', 'LF_INFERENCE_THREAD_DIED'],
        ['throws', 'LF_INFERENCE_FAILED'],
        ['never answers', 'LF_INFERENCE_TIMEOUT'],
        ['loops', 'LF_INFERENCE_TIMEOUT'],
      ] as const) {
        const pool = await start(module(), { threads: 1, timeoutMs: fault === 'throws later' ? 30_000 : 1000 })
        for (const at of [0, 3]) {
          const names = Array.from({ length: 6 }, (_, index) => (index === at ? fault : 'fine'))

          const answers = await Promise.all(await together(pool, names))

          for (const [index, answer] of answers.entries()) {
            if (index === at) expect(answer).to.have.property('code', code)
            else expect(answer).to.have.property('detections')
          }
        }
      }
    })

    it('lets no quick image wait for one that hangs, as long as there is another thread', async () => {
      const pool = await start(module(), { threads: 2, timeoutMs: 8000 })
      const names = ['never answers', ...Array.from({ length: 12 }, () => 'fine')]

      const [hangs, ...fine] = await together(pool, names)
      const isFirst = await Promise.race([Promise.all(fine).then(() => true), Promise.resolve(hangs).then(() => false)])

      expect(isFirst, 'they were answered before the thread was ended').to.equal(true)
      expect(await hangs).to.have.property('code', 'LF_INFERENCE_TIMEOUT')
    })

    it('starts no other thread when its pool is closed between the failure of a thread and its exit', async () => {
      const workers: Worker[] = []
      const onWorker = (worker: Worker) => workers.push(worker)
      process.on('worker', onWorker)
      try {
        const pool = await start(module(), { threads: 1 })
        const [worker] = workers
        const closed = new Promise<void>((resolve) => worker?.once('error', () => resolve(pool.close())))

        await pool.detect(image('throws after its answer'))
        await closed

        expect(workers).to.have.lengthOf(1)
      } finally {
        process.off('worker', onWorker)
      }
    })

    it('is refused at the start with the reason', async () => {
      const cases: [string, string, string][] = [
        ['throws-at-start', 'LF_INFERENCE_FAILED', 'no weights'],
        ['exits-at-start', 'LF_INFERENCE_THREAD_DIED', 'code: 4'],
        ['is-none', 'LF_BACKEND_UNUSABLE', 'function "detect"'],
      ]
      for (const [name, code, sentence] of cases) {
        const error = await rejection(start(module(join(folder.path, name))))
        expect(error.code).to.equal(code)
        expect(error.message).to.contain(sentence)
      }
      const missing = await rejection(start({ ...module(), file: join(folder.path, 'missing.mjs') } as Backend))
      expect(missing.code).to.equal('LF_BACKEND_UNUSABLE')
    })
  })

  describe('as a program', function () {
    this.timeout(60_000)
    const faults: Record<string, string> = {
      throws: 'LF_INFERENCE_FAILED',
      'is bad': 'LF_IMAGE_UNREADABLE',
      loops: 'LF_INFERENCE_TIMEOUT',
      'hangs and ignores SIGTERM': 'LF_INFERENCE_TIMEOUT',
      exits: 'LF_INFERENCE_PROGRAM_DIED',
      'is killed': 'LF_INFERENCE_PROGRAM_DIED',
      'runs out of memory': 'LF_INFERENCE_FAILED',
      'breaks the pipe': 'LF_BACKEND_UNUSABLE',
      'closes the pipe': 'LF_INFERENCE_PROGRAM_DIED',
      'is not a number': 'LF_INFERENCE_FAILED',
      'has no category': 'LF_DETECT_OUTPUT',
      'answers nonsense': 'LF_DETECT_OUTPUT',
    }
    for (const [fault, code] of Object.entries(faults)) {
      it(`loses only the image at which it ${fault}`, async () => {
        const pool = await start(program(), { timeoutMs: code === 'LF_INFERENCE_TIMEOUT' ? 1500 : 30_000 })

        expect(await survives(pool, fault)).to.equal(code)
      })
    }

    it('is refused at the start with the reason, and leaves nothing running', async () => {
      const throws = await rejection(start(program(join(folder.path, 'throws-at-start'))))
      expect(throws.code).to.equal('LF_BACKEND_UNUSABLE')
      expect(throws.message).to.contain('no weights')
      const exits = await rejection(start(program(join(folder.path, 'exits-at-start'))))
      expect(exits.code).to.equal('LF_INFERENCE_PROGRAM_DIED')
      expect(exits.message).to.contain('no engine')
      const missing = await rejection(start({ ...program(), command: ['no-such-program'] } as Backend))
      expect(missing.code).to.equal('LF_PROGRAM_NOT_FOUND')
    })

    it('is started ever more slowly when it dies again and again, and then refuses with a time to come again', async () => {
      const pool = await start(program())

      const refusal = async () => {
        const error = await rejection(pool.detect(image('exits')))
        return error.code === 'LF_INFERENCE_DOWN' ? error : undefined
      }
      const code = await until('refused', refusal, 60_000)

      expect(code.failure).to.equal('transient')
      expect(code.details.retryAfterSeconds).to.be.within(1, 30)
      expect(code.message).to.contain('exit code 3')
    })
  })
})
