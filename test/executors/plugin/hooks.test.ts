import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { writeWorkspace } from '../../../src/executors/contract/workspace.js'
import { loadTrainer } from '../../../src/executors/plugin/load-trainer.js'
import { runCommand } from '../../../src/executors/program/run-command.js'
import { askResume } from '../../../src/executors/training/resume-check.js'
import type { RunningTraining } from '../../../src/executors/training/training-program.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { allEvents, collect, makeOrder, start, trainers } from '../support.js'

const env = { PATH: process.env.PATH }
const log = silentLogger()

describe('hooks of a trainer plug-in', function () {
  this.timeout(60_000)
  const folder = useTemporaryFolder()

  /** A plug-in with these hooks; they may use `sleep`. */
  async function load(hooks: string) {
    const file = join(folder.path, 'mine.mjs')
    const fixed = `name: 'mine', format: 'bin', dataset: 'raw', upload: {bin: ['model.bin']}, lookEveryMs: 20`
    const sleep = "import { setTimeout as sleep } from 'node:timers/promises'"
    await writeFile(file, `${sleep}\nexport const trainer = { ${fixed}, ${hooks} }\n`)
    return loadTrainer(file, { env, log })
  }

  async function begin(hooks: string): Promise<RunningTraining> {
    return start({ definition: await load(hooks), workspace: folder.path })
  }

  it('may do the whole training themselves, and report it immediately', async () => {
    const training = await begin(`async startFromScratch({ report, categories, folder }) {
      const { writeFile } = await import('node:fs/promises')
      report.metrics(1, { loss: 0.5 })
      await writeFile('model.bin', 'learned')
      report.model({ epoch: 1, files: { bin: [folder + '/model.bin'] }, confusionMatrix: { [categories[0].id]: { tp: 1, fp: 0, fn: 0 } } })
    }`)

    const [metrics, model, ...more] = await allEvents(training)
    expect(metrics).to.deep.equal({ event: 'metrics', epoch: 1, values: { loss: 0.5 } })
    expect(model).to.deep.include({ event: 'model', epoch: 1, confusion_matrix: { c1: { tp: 1, fp: 0, fn: 0 } } })
    expect(more).to.deep.equal([])
    expect((await training.exited).exitCode).to.equal(0)
  })

  it('see the order, the folders and the leased GPUs, and no credentials', async () => {
    const definition = await load(`startFromScratch({ report, signal, ...training }) {
      console.log(JSON.stringify({ ...training, password: process.env.LOOP_PASSWORD, cwd: process.cwd() }))
    }`)
    const order = makeOrder({ hyperparameters: { epochs: 3 }, modelVariant: 'small' })
    const secret = { ...env, LOOP_PASSWORD: 'secret' }

    const training = await start({ definition, workspace: folder.path, order, gpus: [1], env: secret })
    await allEvents(training)

    const seen = JSON.parse(await readFile(join(folder.path, 'last_training.log'), 'utf8'))
    expect(seen).to.deep.include({ id: 't1', organization: 'acme', project: 'demo', trainingNumber: 7, gpus: [1] })
    expect(seen).to.deep.include({
      hyperparameters: { epochs: 3 },
      modelVariant: 'small',
      resume: false,
      baseModel: null,
    })
    expect(seen).to.deep.include({ folder: folder.path, cwd: folder.path })
    expect(seen.dataset).to.deep.equal({ format: 'raw', folder: join(folder.path, 'dataset') })
    expect(seen).not.to.have.property('password')
  })

  for (const [what, hooks, message] of [
    ['throws at its start', `startFromScratch() { throw new Error('no data') }`, /^no data$/],
    [
      'throws while it looks for progress',
      `startFromScratch: () => ({ command: ['sleep', '60'] }), progress() { throw new Error('no file') }`,
      /^The hook "progress" failed: no file$/,
    ],
    [
      'answers a best state that is none',
      `startFromScratch() {}, newBest: () => ({ confusionMatrix: { c1: 7 } })`,
      /^The hook "newBest" failed: .*confusionMatrix/s,
    ],
    [
      'names a best state without files',
      `startFromScratch() {}, newBest: () => ({ confusionMatrix: {} })`,
      /no files, and there is no hook "modelFiles"/,
    ],
    [
      'names files outside of the workspace',
      `startFromScratch() {}, newBest: () => ({ confusionMatrix: {}, files: ['/etc/passwd'] })`,
      /must be a path inside the workspace/,
    ],
    [
      'answers a program that is none',
      `startFromScratch: () => ({ command: 'python train.py' })`,
      /"startFromScratch" answered no program: command must be a list/,
    ],
    [
      'answers a program that is not there',
      `startFromScratch: () => ({ command: ['no-such-program'] })`,
      /The program "no-such-program" of the hook "startFromScratch" could not be started: .*ENOENT/,
    ],
    [
      'never answers',
      `hookTimeoutMs: 300, startFromScratch: () => ({ command: ['sleep', '60'] }), progress: () => new Promise(() => {})`,
      /^The hook "progress" took longer than 0.3 s.$/,
    ],
    [
      'loops indefinitely',
      `hookTimeoutMs: 300, startFromScratch: () => ({ command: ['sleep', '60'] }), newBest() { for (;;) {} }`,
      /^The hook "newBest" took longer than 0.3 s.$/,
    ],
    [
      'finds an error in the log',
      `startFromScratch: () => ({ command: ['sh', '-c', 'echo loss is nan; exec sleep 60'] }),
       errorInLog: (log) => log.includes('nan') ? 'the loss is not a number' : null`,
      /^the loss is not a number$/,
    ],
    [
      'finds an error in the last line of a program that ended well',
      `lookEveryMs: 60_000, startFromScratch: () => ({ command: ['sh', '-c', 'sleep 1; echo loss is nan'] }),
       errorInLog: (log) => log.includes('nan') ? 'the loss is not a number' : null`,
      /^the loss is not a number$/,
    ],
  ] as const) {
    it(`fail their training alone, with a sentence, when one ${what}`, async () => {
      const training = await begin(hooks)

      const [event, ...more] = await allEvents(training)

      expect(event).to.have.property('event', 'error')
      expect(event).to.have.property('message').that.matches(message)
      expect(more).to.deep.equal([])
      const { exitCode, signal, endedByUs } = await training.exited
      expect([exitCode === 70 || signal === 'SIGALRM', endedByUs], `${exitCode} ${signal}`).to.deep.equal([true, false])
    })
  }

  it('pass on how the program they started has ended', async () => {
    const killed = await begin(`startFromScratch: () => ({ command: ['sh', '-c', 'kill -KILL $$'] })`)
    await allEvents(killed)
    const failed = await begin(`startFromScratch: () => ({ command: ['sh', '-c', 'exit 9'] })`)
    await allEvents(failed)

    expect(await killed.exited).to.include({ signal: 'SIGKILL' })
    expect(await failed.exited).to.include({ exitCode: 9 })
  })

  it('hear of a stop by their signal', async () => {
    const training = await begin(`startFromScratch: ({ signal }) => new Promise((resolve) => {
      console.log('waiting')
      const timer = setInterval(() => {}, 1000)
      signal.addEventListener('abort', () => { clearInterval(timer); console.log('asked to end'); resolve() })
    })`)
    await until('it waits', () => training.lastLines().includes('waiting'))

    await training.end({ graceMs: 20_000 })

    expect(training.lastLines()).to.include('asked to end')
    expect(await training.exited).to.deep.equal({ exitCode: 0, signal: null, endedByUs: true })
    expect(await allEvents(training)).to.deep.equal([])
  })

  it('are told when the files of a best state are set aside, and not before', async () => {
    const training = await begin(`
      startFromScratch: async ({ folder }) => { await (await import('node:fs/promises')).writeFile(folder + '/model.bin', '1') },
      newBest: () => globalThis.told ? null : (globalThis.told = { confusionMatrix: {}, epoch: 4, files: ['model.bin'], meta: 'secret' }),
      published: (best) => console.log('published epoch ' + best.epoch + ' ' + best.meta)`)
    const events = training.events[Symbol.asyncIterator]()

    const first = await events.next()
    expect(first.value).to.include({ event: 'model', epoch: 4 })
    expect(first.value)
      .to.have.nested.property('files.bin[0]')
      .that.matches(/^\.set-aside\/\d+\/model\.bin$/)
    expect(training.lastLines()).to.deep.equal([])
    await events.next()

    expect(training.lastLines()).to.deep.equal(['published epoch 4 secret'])
    expect((await training.exited).exitCode).to.equal(0)
  })

  it('that cannot say whether to resume are resumed, with a warning', async () => {
    const definition = await load(
      `startFromScratch() {}, resume() {}, canResume() { throw new Error('the disk is away') }`,
    )
    const order = makeOrder()
    await writeWorkspace({ folder: folder.path, order, training: { id: 't1' }, dataset: 'raw' })
    const where = {
      workspace: folder.path,
      logFile: join(folder.path, 'last_training.log'),
      env,
      owner: `test:${process.pid}:t1.1`,
    }

    const said: string[] = []
    const deps = { log, say: (line: string) => said.push(line) }

    const answer = await askResume({ definition, order, signal: new AbortController().signal, ...where }, deps)

    expect(answer).to.deep.equal({ kind: 'resume' })
    expect(said).to.have.length(1)
    expect(said[0]).to.match(/^warning: train\.resume_check itself failed, so the training resumes: .*the disk is away/)
  })

  it('that detect or convert and throw say why in the log', async () => {
    const definition = await load(`startFromScratch() {}, detect() { throw new Error('no weights') }`)
    const order = makeOrder()
    await writeWorkspace({ folder: folder.path, order, training: { id: 't1' }, dataset: 'raw' })
    const logFile = join(folder.path, 'last_training.log')
    const command = definition.detect !== undefined && 'command' in definition.detect && definition.detect.command
    const options = { definition, order, workspace: folder.path, logFile, env, owner: `test:${process.pid}:t1.1` }
    const folders = { modelFolder: folder.path, imagesFolder: folder.path, outputFolder: join(folder.path, 'out') }

    const error = await rejection(
      runCommand({ ...options, ...folders, command: command || [''], signal: new AbortController().signal }, { log }),
    )

    expect(error).to.include({ code: 'LF_COMMAND_FAILED', failure: 'program' })
    expect(await readFile(logFile, 'utf8')).to.contain('no weights')
  })

  it('move what was published, while the training goes on', async () => {
    const definition = await loadTrainer(join(trainers, 'plugin/quick.js'), { env, log })
    const order = makeOrder({ hyperparameters: { epochs: 3, epoch_seconds: 0.3 } })
    const training = await start({ definition, workspace: folder.path, order })

    const models = (await collect(training.events)).filter((event) => event.event === 'model')

    expect(models.map((model) => model.epoch)).to.include(3)
    expect(await readFile(join(folder.path, 'published-3.bin'), 'utf8')).to.equal('{"epoch": 3}')
  })
})
