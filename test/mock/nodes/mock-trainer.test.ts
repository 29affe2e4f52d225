import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import type { ModelEvent } from '../../../src/executors/contract/events.js'
import { writeWorkspace } from '../../../src/executors/contract/workspace.js'
import type { TrainerDefinition } from '../../../src/executors/definition/definition.js'
import { loadTrainer } from '../../../src/executors/plugin/load-trainer.js'
import { runCommand } from '../../../src/executors/program/run-command.js'
import type { RunningTraining } from '../../../src/executors/training/training-program.js'
import { allEvents, category, collect, makeOrder, start } from '../../executors/support.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'

const mockTrainer = fileURLToPath(new URL('../../../src/mock/nodes/mock-trainer.js', import.meta.url))
const env = { PATH: process.env.PATH }
const QUICK = { sync_seconds: 0, delay_seconds: 0 }

describe('the mock trainer', function () {
  this.timeout(60_000)
  const folder = useTemporaryFolder()
  let definition: TrainerDefinition

  before(async () => {
    definition = await loadTrainer(mockTrainer, { env, log: silentLogger() })
  })

  const begin = (hyperparameters: Record<string, unknown>, more: { readonly resume?: boolean } = {}) =>
    start({ definition, workspace: folder.path, order: makeOrder({ hyperparameters }), ...more })
  const tell = (line: object) => appendFile(join(folder.path, 'backdoor.jsonl'), `${JSON.stringify(line)}\n`)
  const models = async (training: RunningTraining): Promise<ModelEvent[]> =>
    (await allEvents(training)).filter((event) => event.event === 'model')

  it('has the formats, models and architecture of the Python library’s', () => {
    expect(definition).to.include({ format: 'mocked', architecture: 'mocked', gpus: 0 })
    expect(definition.models.map((model) => model.name)).to.deep.equal(['small', 'medium', 'large'])
    expect(definition.upload).to.have.keys(['mocked', 'mocked_2'])
    for (const files of Object.values(definition.upload)) {
      expect(files).to.deep.equal(['weightfile.weights', 'some_more_data.txt'])
    }
  })

  it('gets better with every sync, in both formats, and is a hundredth further', async () => {
    const training = await begin({ ...QUICK, syncs: 3 })
    const events = await collect(training.events)
    const found = events.filter((event) => event.event === 'model')

    expect(found.map((event) => event.epoch)).to.deep.equal([1, 2, 3])
    const [first, , last] = found.map((event) => event.confusion_matrix.c1)
    expect(last?.tp).to.be.greaterThan(first?.tp ?? 0)
    expect(last?.fp).to.be.lessThan(first?.fp ?? 0)
    // An earlier one may have been overwritten before it was copied; its figures are there all the same.
    expect(Object.keys(found.at(-1)?.files ?? {})).to.deep.equal(['mocked', 'mocked_2'])
    expect(events.findLast((event) => event.event === 'progress')).to.include({ progress: 0.03 })
    expect(await readFile(join(folder.path, 'weights/weightfile.weights'))).to.deep.equal(Buffer.from([0x42]))
    expect((await training.exited).exitCode).to.equal(0)
  })

  it('sleeps until it is stopped, and resumes with what it had', async () => {
    const first = await begin(QUICK)
    const events = models(first)
    await until(
      'it has synced',
      async () => (await readFile(join(folder.path, 'events.jsonl'), 'utf8').catch(() => '')) !== '',
    )
    await first.end({ graceMs: 20_000 })
    const reached = (await events).at(-1)?.epoch ?? 0

    const second = await begin({ ...QUICK, syncs: reached + 1 }, { resume: true })

    expect((await models(second)).map((event) => event.epoch)).to.deep.equal([reached + 1])
  })

  it('detects one thing of each category at a fixed place', async () => {
    const types = ['box', 'point', 'segmentation', 'classification'] as const
    const order = makeOrder({
      categories: types.map((type) => category(type, type, { type })),
      hyperparameters: { delay_seconds: 0 },
    })
    await writeWorkspace({ folder: folder.path, order, training: { id: 't1' }, dataset: 'raw' })
    await mkdir(join(folder.path, 'images'))
    await writeFile(join(folder.path, 'images/i1.jpg'), '')
    const command = definition.detect !== undefined && 'command' in definition.detect && definition.detect.command

    await runCommand(
      {
        ...{
          definition,
          order,
          workspace: folder.path,
          env,
          owner: `test:${process.pid}:t1.1`,
          command: command || [''],
        },
        ...{ modelFolder: folder.path, imagesFolder: join(folder.path, 'images') },
        ...{ outputFolder: join(folder.path, 'out'), logFile: join(folder.path, 'detect.log') },
        signal: new AbortController().signal,
      },
      { log: silentLogger() },
    )

    const shape = {
      points: [
        { x: 1, y: 2 },
        { x: 3, y: 4 },
      ],
    }
    expect(JSON.parse(await readFile(join(folder.path, 'out/detections.json'), 'utf8'))).to.deep.equal([
      {
        image_id: 'i1',
        box_detections: [{ category_id: 'box', confidence: 0.99, x: 1, y: 2, width: 30, height: 40 }],
        point_detections: [{ category_id: 'point', confidence: 0.97, x: 100, y: 200 }],
        segmentation_detections: [{ category_id: 'segmentation', confidence: 0.96, shape }],
        classification_detections: [{ category_id: 'classification', confidence: 0.95 }],
      },
    ])
  })

  it('makes the steps it is told to, beside its own', async () => {
    await tell({ steps: 2 })
    const training = await begin({ sync_seconds: 3600, delay_seconds: 0, syncs: 2 })

    expect((await models(training)).map((event) => event.epoch)).to.deep.equal([1, 2])
  })

  it('provides no new model when it is told not to', async () => {
    await tell({ provide_new_model: false })
    await tell({ steps: 5 })
    const training = await begin({ ...QUICK, syncs: 1 })
    const events = models(training)

    await until(
      'it tells its progress',
      async () => (await readFile(join(folder.path, 'events.jsonl'), 'utf8').catch(() => '')) !== '',
    )
    await training.end({ graceMs: 20_000 })

    expect(await events).to.deep.equal([])
  })

  for (const name of ['begin_training', 'save_model', 'get_new_model', 'crash_training']) {
    it(`fails with ${name} when it is told to`, async () => {
      await tell({ error_configuration: { [name]: true } })

      const training = await begin({ ...QUICK, syncs: 1 })

      expect((await allEvents(training)).at(-1)).to.have.property('event', 'error')
      expect((await training.exited).exitCode).to.equal(70)
    })
  }
})
