import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import { writeWorkspace } from '../../src/executors/contract/workspace.js'
import type { TrainerDefinition } from '../../src/executors/definition/definition.js'
import { loadTrainer } from '../../src/executors/plugin/load-trainer.js'
import { type RunCommandOptions, runCommand } from '../../src/executors/program/run-command.js'
import { askResume } from '../../src/executors/training/resume-check.js'
import type { TrainingOrder } from '../../src/loop/protocol/index.js'
import { sweepOwned } from '../../src/process/sweep.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { allEvents, collect, makeOrder, start, trainers } from './support.js'

const env = { PATH: process.env.PATH }
const log = silentLogger()
const fast = (more = {}) => makeOrder({ hyperparameters: { epoch_seconds: 0, ...more } })

/** What a trainer must do whatever it is written in; both kinds stand for the same training. */
for (const [kind, file] of [
  ['YAML file', 'quick/trainer.yaml'],
  ['plug-in', 'plugin/quick.js'],
] as const) {
  describe(`a trainer as ${kind}`, function () {
    this.timeout(60_000)
    const folder = useTemporaryFolder()
    let definition: TrainerDefinition

    before(async () => {
      definition = await loadTrainer(join(trainers, file), { env, log })
    })

    const begin = (order: TrainingOrder, more: { readonly resume?: boolean } = {}) =>
      start({ definition, workspace: folder.path, order, ...more })

    async function prepare(order = fast()): Promise<Omit<RunCommandOptions, 'command'>> {
      const modelFolder = join(folder.path, 'model')
      await mkdir(modelFolder, { recursive: true })
      await writeFile(join(modelFolder, 'model.bin'), '{"epoch": 5}')
      await writeWorkspace({ folder: folder.path, order, training: { id: 't1' }, dataset: 'raw' })
      const where = { workspace: folder.path, modelFolder, logFile: join(folder.path, 'last_training.log') }
      return {
        definition,
        order,
        owner: `test:${process.pid}:t1.1`,
        signal: new AbortController().signal,
        env,
        ...where,
      }
    }

    it('tells the Loop its format, architecture and pretrained models', () => {
      expect(definition).to.include({ name: 'quick', format: 'mocked', architecture: 'quick' })
      expect(definition.models.map(({ name, label }) => [name, label])).to.deep.equal([
        ['small', 'Small'],
        ['large', 'Large'],
      ])
    })

    it('trains from scratch: progress up to 1, and its best model with files and counts per class', async () => {
      const training = await begin(fast({ epochs: 2 }))

      const events = await collect(training.events)

      const best = events.findLast((event) => event.event === 'model')
      expect(events.findLast((event) => event.event === 'progress')).to.include({ progress: 1 })
      expect(best).to.include({ epoch: 2 })
      expect(best).to.have.nested.property('files.mocked').that.has.lengthOf(2)
      expect(best).to.have.nested.property('confusion_matrix.c1').that.deep.equals({ tp: 20, fp: 8, fn: 18 })
      expect(await training.exited).to.deep.equal({ exitCode: 0, signal: null, endedByUs: false })
      expect(await readFile(join(folder.path, 'last_training.log'), 'utf8')).to.contain('epoch 2/2 done')
      for (const name of ['model.bin', 'more.txt']) await access(join(folder.path, 'weights', name))
    })

    it('goes on from a model of the Loop', async () => {
      const order = makeOrder({ hyperparameters: { epochs: 1 }, baseModel: { kind: 'loop', id: 'm1' } })

      const training = await begin(order)

      expect((await allEvents(training)).map((event) => event.event)).to.include('model')
    })

    it('that crashes keeps its exit code and its last lines, and resumes where it was', async () => {
      const order = fast({ epochs: 4, crash_at_epoch: 2 })
      const options = await prepare(order)
      expect(await askResume(options, { log })).to.deep.equal({ kind: 'none' })

      const first = await begin(order)
      await allEvents(first)
      expect(await askResume(options, { log })).to.deep.equal({ kind: 'resume' })
      const second = await begin(order, { resume: true })
      const events = await allEvents(second)

      expect((await first.exited).exitCode).to.equal(3)
      expect(first.lastLines()).to.include('epoch 2/4 done')
      expect(second.lastLines()).not.to.include('epoch 1/4 done')
      expect(events.findLast((event) => event.event === 'model')).to.include({ epoch: 4 })
    })

    it('that names a known cause in its log tells it, once', async () => {
      const training = await begin(fast({ crash_at_epoch: 1, print_at_exit: 'out of imaginary memory' }))

      const errors = (await allEvents(training)).filter((event) => event.event === 'error')

      expect(errors).to.deep.equal([{ event: 'error', message: 'the imaginary graphics card is out of memory' }])
    })

    it('that is killed from outside says so, and leaves no process', async () => {
      const training = await begin(makeOrder({ hyperparameters: { epochs: 1000, epoch_seconds: 0.05 } }))
      // Which one is not said: only the last 50 lines are kept.
      await until('an epoch is done', () => training.lastLines().some((line) => /^epoch \d+\/1000 done$/.test(line)))

      process.kill(training.pid, 'SIGKILL')
      await allEvents(training)

      expect(await training.exited).to.deep.equal({ exitCode: null, signal: 'SIGKILL', endedByUs: false })
      expect(await sweepOwned((owner) => owner === `test:${process.pid}:t1.1`)).to.deep.equal([])
    })

    it('is stopped politely, with its model so far', async () => {
      const training = await begin(makeOrder({ hyperparameters: { epochs: 1000, epoch_seconds: 0.05 } }))
      const events = allEvents(training)
      await until('two epochs are done', () =>
        training.lastLines().some((line) => /^epoch ([2-9]|\d{2,})\//.test(line)),
      )

      const exit = await training.end({ graceMs: 20_000 })

      expect(exit.endedByUs).to.equal(true)
      expect((await events).at(-1)).to.include({ event: 'model' })
    })

    it('that hangs heedless of SIGTERM is ended with all it has started', async () => {
      const training = await begin(fast({ hang_at_epoch: 1 }))
      await until('the program hangs', () => training.lastLines().includes('epoch 1/3 done'))

      const exit = await training.end({ graceMs: 200 })

      expect(exit.endedByUs).to.equal(true)
      await allEvents(training)
    })

    it('that ends well without a model just tells of none', async () => {
      const training = await begin(fast({ epochs: 1, without_model: true }))

      expect((await allEvents(training)).map((event) => event.event)).not.to.include('model')
      expect((await training.exited).exitCode).to.equal(0)
    })

    it('converts its model to other formats', async () => {
      const options = await prepare()

      const [step] = definition.convert
      await runCommand({ ...options, command: step?.command ?? ['missing'] }, { log })

      const converted = await readFile(join(folder.path, 'model/model.converted'), 'utf8')
      expect(JSON.parse(converted)).to.deep.equal({ epoch: 5, converted: true })
      expect(definition.upload[step?.format ?? '']).to.deep.equal(['model.converted'])
    })

    it('whose conversion fails says why', async () => {
      const options = await prepare(fast({ fail_convert: true }))

      const error = await rejection(
        runCommand({ ...options, command: definition.convert[0]?.command ?? [''] }, { log }),
      )

      expect(error).to.include({ code: 'LF_COMMAND_FAILED', failure: 'program' })
      expect(await readFile(options.logFile, 'utf8')).to.contain('conversion fails as ordered')
    })

    it('detects in images, by category', async () => {
      const options = await prepare()
      const imagesFolder = join(folder.path, 'links')
      await mkdir(imagesFolder)
      for (const id of ['i1', 'i2']) await writeFile(join(imagesFolder, `${id}.jpg`), '')
      const command = definition.detect !== undefined && 'command' in definition.detect && definition.detect.command

      const outputFolder = join(folder.path, 'out')
      await runCommand({ ...options, command: command || [''], imagesFolder, outputFolder }, { log })

      const entries = JSON.parse(await readFile(join(outputFolder, 'detections.json'), 'utf8'))
      expect(entries.map((entry: { image_id: string }) => entry.image_id)).to.deep.equal(['i1', 'i2'])
      expect(entries[0].box_detections.map((box: { category_id: string }) => box.category_id)).to.deep.equal([
        'c1',
        'c2',
      ])
    })

    it('cleans up after itself', async () => {
      const mark = join(folder.path, 'cleaned')
      const options = await prepare()
      const marked = { ...definition, env: { CLEAN_UP_MARK: mark } }

      await runCommand({ ...options, definition: marked, command: definition.cleanup ?? [''] }, { log })

      expect(await readFile(mark, 'utf8')).to.equal(folder.path)
    })

    it('leaves nothing behind in the folder of its file', async () => {
      const before = await readdir(definition.folder)

      await allEvents(await begin(fast({ epochs: 1 })))

      expect(await readdir(definition.folder)).to.deep.equal(before)
    })
  })
}
