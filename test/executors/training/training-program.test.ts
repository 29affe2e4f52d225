import { access, appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { expect } from 'chai'
import type { ModelEvent } from '../../../src/executors/contract/events.js'
import { loadTrainerDefinition } from '../../../src/executors/definition/definition.js'
import { hasCheckpoint } from '../../../src/executors/training/start-choice.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { readZipped } from '../../helpers/zipped-model.js'
import { allEvents, collect, makeDefinition, makeOrder, start, trainers } from '../support.js'

const quick = () => loadTrainerDefinition(join(trainers, 'quick/trainer.yaml'))
const fast = (more = {}) => makeOrder({ hyperparameters: { epoch_seconds: 0, ...more } })

describe('training program', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()

  async function startsOf(): Promise<Record<string, unknown>[]> {
    const text = await readFile(join(folder.path, 'starts.jsonl'), 'utf8')
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  }

  it('tells progress, metrics and models until its end, in order', async () => {
    const training = await start({ definition: await quick(), workspace: folder.path, order: fast({ epochs: 2 }) })

    const events = await allEvents(training)

    const told = events.map((event) => `${event.event} ${event.event === 'error' ? '' : event.epoch}`)
    expect(told.filter((text) => text.startsWith('metrics'))).to.deep.equal(['metrics 1', 'metrics 2'])
    expect(told.filter((text) => text.startsWith('model'))).to.deep.equal(['model 1', 'model 2'])
    const { files } = events.at(-1) as ModelEvent
    expect(files.mocked?.map((path) => basename(path))).to.deep.equal(['model.bin', 'more.txt'])
    for (const path of files.mocked ?? []) expect(path).to.match(/^\.set-aside\//)
    expect(events.at(-1)).to.have.nested.property('confusion_matrix.c1.tp', 20)
    expect(await training.exited).to.deep.equal({ exitCode: 0, signal: null, endedByUs: false })
    expect(training.lastLines().at(-1)).to.equal('epoch 2/2 done')
    expect(await readFile(join(folder.path, 'last_training.log'), 'utf8')).to.contain('epoch 1/2 done')
  })

  it('reports progress that ends with 1', async () => {
    const training = await start({ definition: await quick(), workspace: folder.path, order: fast({ epochs: 3 }) })

    const progress = (await collect(training.events)).filter((event) => event.event === 'progress')

    expect(progress.at(-1)).to.include({ progress: 1, epoch: 3, epochs: 3 })
  })

  it('passes over rubbish, unknown events, wrong events, huge lines and half lines', async () => {
    const definition = makeDefinition('train: {scratch: [python, writes-odd-lines.py]}')
    const training = await start({ definition, workspace: folder.path })

    const events = await allEvents(training)

    expect(events).to.deep.equal([{ event: 'metrics', epoch: 1, values: { loss: 0.5 } }])
  })

  it('that ends well without any model just has no model event', async () => {
    const definition = makeDefinition('train: {scratch: [python, ends-without-a-model.py]}')
    const training = await start({ definition, workspace: folder.path })

    expect(await allEvents(training)).to.deep.equal([])
    expect((await training.exited).exitCode).to.equal(0)
  })

  it('resumes from its checkpoint after a crash', async () => {
    const order = fast({ epochs: 4, crash_at_epoch: 2 })
    const first = await start({ definition: await quick(), workspace: folder.path, order })
    await allEvents(first)

    const second = await start({ definition: await quick(), workspace: folder.path, order, resume: true })
    const events = await allEvents(second)

    expect((await first.exited).exitCode).to.equal(3)
    expect((await startsOf()).map(({ resume, first_epoch }) => ({ resume, first_epoch }))).to.deep.equal([
      { resume: false, first_epoch: 1 },
      { resume: true, first_epoch: 3 },
    ])
    expect(events.filter((event) => event.event === 'model').map((event) => event.epoch)).to.deep.equal([3, 4])
  })

  it('starts from the beginning when it should resume but left no checkpoint', async () => {
    const training = await start({ definition: await quick(), workspace: folder.path, order: fast(), resume: true })
    await allEvents(training)

    expect((await startsOf())[0]).to.include({ resume: false, first_epoch: 1 })
    expect(await hasCheckpoint(await quick(), folder.path)).to.equal(true)
  })

  it('hands over again, when resumed, what nobody dealt with: files of the last model only, and no half line', async () => {
    const order = fast({ epochs: 3, crash_at_epoch: 2 })
    const first = await start({ definition: await quick(), workspace: folder.path, order })
    await first.followed // as if the worker had been killed: nobody reads the events
    await appendFile(join(folder.path, 'events.jsonl'), '{"event": "model", "epo')

    const second = await start({ definition: await quick(), workspace: folder.path, order, resume: true })
    const events = await allEvents(second)

    const models = events.filter((event) => event.event === 'model')
    expect(models.map((event) => event.epoch)).to.deep.equal([1, 2, 3])
    expect(models.map(({ files }) => Object.keys(files))).to.deep.equal([[], ['mocked'], ['mocked']])
    expect(events.filter((event) => event.event === 'metrics').map((event) => event.epoch)).to.deep.equal([1, 2, 3])
  })

  it('hands over the figures alone of a model whose files are gone', async () => {
    await mkdir(folder.path, { recursive: true })
    const lost = { event: 'model', epoch: 9, files: { mocked: ['gone.bin'] }, confusion_matrix: {} }
    await writeFile(join(folder.path, 'events.jsonl'), `${JSON.stringify(lost)}\n`)
    await writeFile(join(folder.path, 'checkpoint.json'), '{"epoch": 3}')

    const training = await start({ definition: await quick(), workspace: folder.path, order: fast(), resume: true })

    expect(await allEvents(training)).to.deep.equal([{ ...lost, files: {} }])
  })

  it('starts from scratch without the events of an earlier program', async () => {
    const lost = { event: 'error', message: 'of yesterday' }
    await writeFile(join(folder.path, 'events.jsonl'), `${JSON.stringify(lost)}\n`)

    const training = await start({ definition: await quick(), workspace: folder.path, order: fast({ epochs: 1 }) })

    expect((await allEvents(training)).map((event) => event.event)).to.deep.equal(['metrics', 'model'])
  })

  it('ends politely when told to, with its model kept and unknown categories left out', async () => {
    const definition = makeDefinition('train: {scratch: [python, trains-until-told-to-stop.py]}')
    const training = await start({ definition, workspace: folder.path })
    const events = training.events[Symbol.asyncIterator]()
    const first = await events.next()

    const exit = await training.end()

    expect(first.value).to.deep.include({ event: 'model', confusion_matrix: { c1: { tp: 1, fp: 0, fn: 0 } } })
    expect(exit).to.deep.equal({ exitCode: 0, signal: null, endedByUs: true })
    expect((await events.next()).done).to.equal(true)
  })

  it('that hangs heedless of SIGTERM is ended all the same', async () => {
    const order = fast({ hang_at_epoch: 1 })
    const training = await start({ definition: await quick(), workspace: folder.path, order })
    await until('the program hangs', () => training.lastLines().includes('epoch 1/3 done'))

    const exit = await training.end({ graceMs: 200 })

    expect(exit.endedByUs).to.equal(true)
    await allEvents(training)
  })

  it('gets its lease, its helper and no credentials by the environment', async () => {
    const definition = makeDefinition("train: {scratch: [python, shows-its-environment.py, '{workspace}']}")
    const env = { PATH: process.env.PATH, LOOP_PASSWORD: 'secret', REDIS_URL: 'redis://secret' }
    const training = await start({ definition, workspace: folder.path, gpus: [1], env })
    await allEvents(training)

    const shown = JSON.parse(await readFile(join(folder.path, 'last_training.log'), 'utf8'))

    expect(shown).to.deep.include({ args: [folder.path] })
    expect(shown.env).to.include({ CUDA_VISIBLE_DEVICES: '1', LOOPFLEET_EVENTS: join(folder.path, 'events.jsonl') })
    expect(shown.env.LOOPFLEET_OWNER).to.equal(`test:${process.pid}:t1.1`)
    expect(JSON.stringify(shown)).not.to.contain('secret')
  })

  it('turns a known line of the log into an error event, once', async () => {
    const errors = 'errors: [{log: CUDA out of memory, cause: graphics card is out of memory}]'
    const definition = makeDefinition(`train: {scratch: [python, runs-out-of-memory.py]}\n${errors}`)
    const training = await start({ definition, workspace: folder.path })

    expect(await allEvents(training)).to.deep.equal([{ event: 'error', message: 'graphics card is out of memory' }])
    expect((await training.exited).exitCode).to.equal(1)
  })

  it('that is not installed is named in the error', async () => {
    const definition = makeDefinition('train: {scratch: [no-such-program]}')

    const error = await rejection(start({ definition, workspace: folder.path }))

    expect(error).to.include({ code: 'LF_PROGRAM_NOT_FOUND' })
    expect(error.message).to.contain('no-such-program')
  })

  it('that cannot continue a model refuses such an order', async () => {
    const definition = makeDefinition('train: {scratch: [python, ends-without-a-model.py]}')
    const order = makeOrder({ baseModel: { kind: 'loop', id: 'm1' } })

    const error = await rejection(start({ definition, workspace: folder.path, order }))

    expect(error).to.include({ code: 'LF_ORDER_NOT_POSSIBLE', failure: 'fatal' })
    expect(error.message).to.contain('has no "train.continue"')
  })
})

describe('script that cannot be changed', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()
  const unchanged = () => loadTrainerDefinition(join(trainers, 'unchanged/trainer.yaml'))

  it('is followed by its log, its table and its files', async () => {
    const training = await start({ definition: await unchanged(), workspace: folder.path })

    const events = await collect(training.events)

    const models = events.filter((event) => event.event === 'model')
    const metrics = events.filter((event) => event.event === 'metrics')
    expect(metrics.map((event) => event.epoch)).to.deep.equal([0, 1, 2, 3])
    expect(metrics[1]?.values).to.deep.equal({ 'train/box_loss': 0.5, 'metrics/mAP_0.5': 0.25 })
    const progress = Object.assign({}, ...events.filter((event) => event.event === 'progress').map(withoutGaps))
    expect(progress).to.include({ progress: 1, epoch: 3, epochs: 3 })
    expect(models.at(-1)).to.deep.include({ epoch: 3, confusion_matrix: { c1: { tp: 4, fp: 1, fn: 2 } } })
    const files = models.at(-1)?.files.yolov5_pytorch ?? []
    expect(files.map((file) => file.split('/').at(-1))).to.deep.equal(['model.pt', 'hyp.yaml'])
    expect(await readZipped(join(folder.path, files[0] ?? ''))).to.equal('weights of epoch 3')
  })

  it('when resumed hands over the newest model nobody dealt with, and no old rows of its table', async () => {
    const first = await start({ definition: await unchanged(), workspace: folder.path })
    await first.followed
    await access(join(folder.path, 'result/weights/last.pt'))

    const second = await start({ definition: await unchanged(), workspace: folder.path, resume: true })
    const events = await allEvents(second)
    const third = await start({ definition: await unchanged(), workspace: folder.path, resume: true })

    expect(events.map((event) => event.event)).to.deep.equal(['model'])
    expect(await allEvents(third)).to.deep.equal([])
  })
})

/** What an event leaves open stays as the one before said. */
function withoutGaps(event: object): object {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined))
}
