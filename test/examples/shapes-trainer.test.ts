import { join } from 'node:path'
import process from 'node:process'
import { expect } from 'chai'
import { execa } from 'execa'
import { z } from 'zod'
import { linkOrCopy, readJsonFile } from '../../src/base/files.js'
import { silentLogger } from '../../src/base/logger.js'
import { loadTrainerDefinition, type TrainerDefinition } from '../../src/executors/definition.js'
import type { TrainerEvent } from '../../src/executors/events.js'
import { runCommand, startTraining } from '../../src/executors/training-program.js'
import { writeWorkspace } from '../../src/executors/workspace.js'
import { createInferencePool } from '../../src/inference/pool.js'
import { type Category, categorySchema, type TrainingOrder } from '../../src/loop/protocol/index.js'
import { dumpRawDataset } from '../../src/mock/loop/index.js'
import { projectRoot } from '../helpers/project-root.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'

const example = join(projectRoot(), 'examples/shapes-trainer')
const log = silentLogger()
const datasetSchema = z.object({
  categories: z.array(categorySchema),
  images: z.array(z.object({ file: z.string(), set: z.string() })),
})

describe('the shapes trainer', function () {
  this.timeout(180_000)
  const folder = useTemporaryFolder()

  it('passes its own tests of layers, losses, learning and settings', async () => {
    const python = join(example, '.venv/bin/python')
    const run = await execa(python, ['-m', 'unittest', 'discover', '-t', '.', '-s', 'tests'], {
      cwd: example,
      reject: false,
    })

    expect(run.stderr).to.match(/\nOK$/)
    expect(run.exitCode).to.equal(0)
  })

  it('lowers its loss in a short training, exports to ONNX, and the pool finds boxes with the result', async () => {
    const definition = await loadTrainerDefinition(join(example, 'trainer.yaml'))
    const order = await prepare(folder.path)

    const events = await trainShortly(definition, order, folder.path)

    const losses = events.flatMap((event) => (event.event === 'metrics' ? [event.values.loss ?? Number.NaN] : []))
    expect(losses.length).to.be.at.least(2)
    expect(losses.at(-1)).to.be.below((losses[0] ?? 0) * 0.9)
    const model = events.findLast((event) => event.event === 'model')
    expect(Object.keys(model?.confusion_matrix ?? {})).to.have.members(order.categories.map((category) => category.id))

    await exportModel(definition, order, folder.path, model?.files.shapes_numpy?.[0] ?? '')
    const found = await detect(order.categories, folder.path)

    expect(found.box_detections).to.be.an('array')
    for (const box of found.box_detections) expect(box.confidence).to.be.within(0.3, 1)
  })
})

async function prepare(workspace: string): Promise<TrainingOrder> {
  await dumpRawDataset(workspace, { project_name: 'p', complete: 16, box_categories: 3, train_share: 0.75 }, 7)
  const dataset = await readJsonFile(join(workspace, 'dataset/dataset.json'), datasetSchema)
  const order: TrainingOrder = {
    dialect: 'current',
    organization: 'o',
    project: 'p',
    trainingNumber: 1,
    categories: dataset?.categories ?? [],
    baseModel: { kind: 'none' },
    modelVariant: '',
    hyperparameters: { short: true },
  }
  await writeWorkspace({ folder: workspace, order, training: { id: 't1' }, dataset: 'raw' })
  return order
}

async function trainShortly(definition: TrainerDefinition, order: TrainingOrder, workspace: string) {
  const options = { definition, workspace, order, resume: false, gpus: [], owner: 'test', env: process.env }
  const program = await startTraining(options, { log })
  const events: TrainerEvent[] = []
  for await (const event of program.events) events.push(event)
  const exit = await program.exited
  expect(exit.exitCode, program.lastLines().join('\n')).to.equal(0)
  return events
}

async function exportModel(definition: TrainerDefinition, order: TrainingOrder, workspace: string, file: string) {
  const modelFolder = join(workspace, 'model')
  await linkOrCopy(join(workspace, file), join(modelFolder, 'model.npz'))
  const command = definition.convert[0]?.command ?? ['false']
  const { signal } = new AbortController()
  const logFile = join(workspace, 'export.log')
  const shared = { definition, command, order, owner: 'test', env: process.env, signal, logFile }
  await runCommand({ ...shared, workspace, modelFolder }, { log })
}

async function detect(categories: readonly Category[], workspace: string) {
  const dataset = await readJsonFile(join(workspace, 'dataset/dataset.json'), datasetSchema)
  const modelFile = join(workspace, 'model/model.onnx')
  const pool = await createInferencePool({ backend: { kind: 'onnx', modelFile, categories }, threads: 2 }, { log })
  try {
    const path = join(workspace, 'dataset', dataset?.images[0]?.file ?? '')
    return (await pool.detect({ path })).detections
  } finally {
    await pool.close()
  }
}
