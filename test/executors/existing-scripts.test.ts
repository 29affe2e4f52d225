import { chmod, cp, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../src/base/logger/logger.js'
import type { TrainerEvent } from '../../src/executors/contract/events.js'
import { exportDataset } from '../../src/executors/dataset/export-dataset.js'
import { loadTrainerDefinition, type TrainerDefinition } from '../../src/executors/definition/definition.js'
import { runCommand } from '../../src/executors/program/run-command.js'
import type { RunningTraining } from '../../src/executors/training/training-program.js'
import { imageDataSchema, type TrainingOrder } from '../../src/loop/protocol/index.js'
import { projectRoot } from '../helpers/project-root.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { readZipped, writeZipped } from '../helpers/zipped-model.js'
import { category, collect, makeOrder, start, trainers } from './support.js'

const categories = [category('c1-id', 'circle'), category('c2-id', 'dot', { type: 'point' })]
const folder = useTemporaryFolder()

/** The example's YAML, unchanged, among scripts that stand in for the public ones. */
async function install(name: 'yolov5' | 'ultralytics'): Promise<TrainerDefinition> {
  const target = join(folder.path, 'trainer')
  await cp(join(trainers, 'stand-ins', name), target, { recursive: true })
  await cp(join(projectRoot(), 'examples', name), target, { recursive: true })
  if (name === 'ultralytics') await chmod(join(target, 'yolo'), 0o755)
  return loadTrainerDefinition(join(target, 'trainer.yaml'))
}

async function prepare(definition: TrainerDefinition): Promise<string> {
  const workspace = join(folder.path, 'workspace')
  await mkdir(workspace)
  await writeFile(join(folder.path, 'i.jpg'), 'pixels')
  const box_annotations = [{ category_id: 'c1-id', x: 1, y: 1, width: 5, height: 5 }]
  const images = ['train', 'train', 'test'].map((set, index) =>
    imageDataSchema.parse({ id: `i${index}`, set, width: 10, height: 10, box_annotations }),
  )
  const { signal } = new AbortController()
  const imagePath = () => join(folder.path, 'i.jpg')
  await exportDataset(definition.dataset, { folder: workspace, images, imagePath, categories, signal })
  return workspace
}

type Begin = { readonly definition: TrainerDefinition; readonly workspace: string; readonly resume?: boolean }

function begin({ definition, workspace, resume }: Begin, order: Partial<TrainingOrder>): Promise<RunningTraining> {
  const PATH = [definition.folder, process.env.PATH].join(delimiter)
  return start({ definition, workspace, resume, order: makeOrder({ categories, ...order }), env: { PATH } })
}

function modelsOf(events: readonly TrainerEvent[]) {
  return events.filter((event) => event.event === 'model')
}

async function run(definition: TrainerDefinition, command: 'convert' | 'detect', workspace: string) {
  const { detect, convert } = definition
  const template = command === 'convert' ? convert[0]?.command : detect && 'command' in detect && detect.command
  const places = { modelFolder: join(folder.path, 'model'), imagesFolder: join(folder.path, 'images') }
  const outputFolder = command === 'convert' ? undefined : join(folder.path, 'output')
  const env = { PATH: [definition.folder, process.env.PATH].join(delimiter) }
  const { signal } = new AbortController()
  const order = makeOrder({ categories, hyperparameters: { detect_nms_conf_thres: 0.3 } })
  const where = {
    ...places,
    outputFolder,
    env,
    logFile: join(folder.path, 'log'),
    owner: `test:${process.pid}:t1.1`,
    signal,
  }
  await runCommand(
    { definition, command: template || ['missing'], workspace, order, ...where },
    { log: silentLogger() },
  )
}

/** Lays the files of a model event where the worker puts the model to be converted and detected with. */
async function setAside(workspace: string, files: readonly string[]): Promise<void> {
  await mkdir(join(folder.path, 'model'))
  for (const file of files) await cp(join(workspace, file), join(folder.path, 'model', file.split('/').at(-1) ?? ''))
  await mkdir(join(folder.path, 'images'))
  for (const id of ['a', 'b', 'c']) {
    await symlink(join(folder.path, 'i.jpg'), join(folder.path, 'images', `${id}.jpg`))
  }
}

describe('public YOLOv5 scripts, described by examples/yolov5', function () {
  this.timeout(30_000)

  it('train with the order on their command line and in hyp.yaml', async () => {
    const definition = await install('yolov5')
    const workspace = await prepare(definition)
    const hyperparameters = {
      epochs: '4',
      batch_size: 8,
      lr0: '0.005',
      flip_rl: true,
      resolution: 320,
      point_sizes_by_id: 'c2-id:0.03',
    }

    const events = await collect(
      (await begin({ definition, workspace }, { hyperparameters, modelVariant: 's' })).events,
    )

    const models = modelsOf(events)
    const files = models.at(-1)?.files.yolov5_pytorch ?? []
    expect(models.map(({ epoch }) => epoch)).to.deep.equal([1, 3])
    expect(models.at(-1)?.confusion_matrix).to.have.keys(['c1-id', 'c2-id'])
    expect(events.findLast((event) => event.event === 'progress')).to.include({ progress: 1 })
    expect(files.map((file) => file.split('/').at(-1))).to.deep.equal(['model.pt', 'hyp.yaml'])
    const { hyp, arguments: given } = JSON.parse(await readZipped(join(workspace, files[0] ?? '')))
    expect(hyp).to.include({ lr0: 0.005, fliplr: 0.5, flipud: 0, momentum: 0.937 })
    expect(given.join(' ')).to.contain('--batch-size 8 --img 320').and.contain('--point_sizes_by_id 1:0.03')
    expect(given.join(' '))
      .to.match(/--weights \S+\/trainer\/yolov5s\.pt --clear$/)
      .and.not.contain('flip_label')
  })

  it('keep the published model alone, and go on from it after a stop', async () => {
    const definition = await install('yolov5')
    const workspace = await prepare(definition)
    const order = { hyperparameters: { epochs: 500, batch_seconds: 0.1 } }
    const latest = join(workspace, 'result/weights/published/latest.pt')

    const first = await begin({ definition, workspace }, order)
    const reading = collect(first.events)
    await until('a model is published', () => stat(latest).then(Boolean, () => false), 15_000)
    const exit = await first.end({ graceMs: 5000 })
    const before = modelsOf(await reading)

    expect(exit.exitCode).to.equal(0)
    expect(first.lastLines().join('\n')).to.contain('Signal received: 15')
    expect(JSON.parse(await readZipped(latest)).epoch).to.equal(before.at(-1)?.epoch)
    expect(await readdir(join(workspace, 'result/weights'))).to.have.members(['best.pt', 'last.pt', 'published'])

    const done = before.at(-1)?.epoch ?? 0
    const rest = { hyperparameters: { epochs: done + 5 } }
    const second = await collect((await begin({ definition, workspace, resume: true }, rest)).events)

    const rows = second.filter((event) => event.event === 'metrics').map(({ epoch }) => epoch)
    expect(rows[0]).to.equal(done + 1)
    expect(modelsOf(second).map(({ epoch }) => epoch)).to.deep.equal([done + 2, done + 4])
  })

  it('continue a model of the Loop', async () => {
    const definition = await install('yolov5')
    const workspace = await prepare(definition)
    await mkdir(join(workspace, 'base_model'))
    const weights = { epoch: 70, names: ['circle', 'dot'] }
    await writeZipped(join(workspace, 'base_model/model.pt'), JSON.stringify(weights))
    const order = { baseModel: { kind: 'loop', id: 'm1' }, hyperparameters: { epochs: 2 } } as const

    const events = await collect((await begin({ definition, workspace }, order)).events)

    expect(modelsOf(events).map(({ epoch }) => epoch)).to.deep.equal([1])
  })

  it('convert, and detect with no label file for images without findings', async () => {
    const definition = await install('yolov5')
    const workspace = await prepare(definition)
    const training = await begin({ definition, workspace }, { hyperparameters: { epochs: 2 } })
    const [model] = modelsOf(await collect(training.events))
    await setAside(workspace, model?.files.yolov5_pytorch ?? [])

    await run(definition, 'convert', workspace)
    await run(definition, 'detect', workspace)

    expect(await readFile(join(folder.path, 'model/model.wts'), 'utf8')).to.contain('3f000000 c0000000')
    const labels = join(folder.path, 'output/result/labels')
    expect(await readdir(labels)).to.have.members(['a.txt', 'c.txt'])
    expect(await readFile(join(labels, 'a.txt'), 'utf8')).to.equal('0 0.5 0.5 0.25 0.2 0.8\n1 0.5 0.5 0.25 0.2 0.8\n')
  })

  for (const order of [
    { modelVariant: '--resume' },
    { modelVariant: '../../n' },
    { hyperparameters: { epochs: '--evolve' } },
    { hyperparameters: { point_sizes_by_id: 'c2-id:1 --resume' } },
    { hyperparameters: { lr0: '0.1\nanchors: /etc/passwd' } },
    { hyperparameters: { resolution: '640 --nosave' } },
  ]) {
    it(`are not started by the hostile order ${JSON.stringify(order)}`, async () => {
      const definition = await install('yolov5')
      const workspace = await prepare(definition)

      const error = await rejection(begin({ definition, workspace }, order))

      expect(error).to.include({ code: 'LF_ORDER_NOT_POSSIBLE', failure: 'fatal' })
      expect(await readdir(workspace)).not.to.include.members(['last_training.log'])
    })
  }
})

describe('Ultralytics command line, described by examples/ultralytics', function () {
  this.timeout(30_000)

  it('trains with the order on its command line and in a YAML file', async () => {
    const definition = await install('ultralytics')
    const workspace = await prepare(definition)
    const hyperparameters = { epochs: 3, lr0: '0.005', fliplr: 0.25, patience: '7', workers: 1 }

    const events = await collect((await begin({ definition, workspace }, { hyperparameters })).events)

    const last = modelsOf(events).at(-1)
    const progress = events.filter((event) => event.event === 'progress').map((event) => event.progress)
    const files = last?.files.ultralytics_pytorch ?? []
    expect(progress.at(-1)).to.equal(1)
    expect(events.find((event) => event.event === 'metrics')).to.deep.include({ epoch: 1 })
    expect(last?.confusion_matrix).to.deep.equal({})
    expect(files.map((file) => file.split('/').at(-1))).to.deep.equal(['model.pt', 'args.yaml'])
    const model = JSON.parse(await readZipped(join(workspace, files[0] ?? '')))
    expect(model).not.to.have.property('optimizer') // the one that was made smaller at the end
    expect(model.args).to.include({ lr0: '0.005', fliplr: '0.25', patience: '7', epochs: '3', model: 'yolo11n.pt' })
  })

  it('goes on from last.pt after it was ended', async () => {
    const definition = await install('ultralytics')
    const workspace = await prepare(definition)
    const order = { hyperparameters: { epochs: 4, workers: 20 } }
    const first = await begin({ definition, workspace }, order)
    const reading = collect(first.events)
    const checkpoint = join(workspace, 'result/weights/last.pt')
    // Saved, and not only written to the table: a checkpoint that is cut off is none, and training begins at the first epoch.
    const saved = () =>
      readZipped(checkpoint).then(
        (text) => JSON.parse(text).epoch >= 1,
        () => false,
      )
    await until('two epochs are saved', saved, 15_000)

    const exit = await first.end({ graceMs: 5000 })
    const before = (await reading).filter((event) => event.event === 'metrics').length
    const second = await collect((await begin({ definition, workspace, resume: true }, order)).events)

    expect(exit).to.include({ signal: 'SIGTERM', endedByUs: true })
    const epochs = second.filter((event) => event.event === 'metrics').map(({ epoch }) => epoch)
    expect(epochs[0]).to.be.within(before, before + 1)
    expect(epochs.at(-1)).to.equal(4)
  })

  it('exports and detects', async () => {
    const definition = await install('ultralytics')
    const workspace = await prepare(definition)
    const training = await begin({ definition, workspace }, { hyperparameters: { epochs: 1, workers: 0 } })
    const last = modelsOf(await collect(training.events)).at(-1)
    await setAside(workspace, last?.files.ultralytics_pytorch ?? [])

    await run(definition, 'convert', workspace)
    await run(definition, 'detect', workspace)

    expect(await readdir(join(folder.path, 'model'))).to.include('model.onnx')
    expect(await readdir(join(folder.path, 'output/result/labels'))).to.have.members(['a.txt', 'c.txt'])
  })
})
