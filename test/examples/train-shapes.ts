import { join } from 'node:path'
import process from 'node:process'
import { expect } from 'chai'
import { z } from 'zod'
import { linkOrCopy, readJsonFile } from '../../src/base/files.js'
import { silentLogger } from '../../src/base/logger/logger.js'
import type { TrainerEvent } from '../../src/executors/contract/events.js'
import { writeWorkspace } from '../../src/executors/contract/workspace.js'
import type { TrainerDefinition } from '../../src/executors/definition/definition.js'
import { runCommand, startTraining } from '../../src/executors/training/training-program.js'
import { createInferencePool } from '../../src/inference/pool/pool.js'
import { type Category, categorySchema, type TrainingOrder } from '../../src/loop/protocol/index.js'
import { dumpRawDataset } from '../../src/mock/loop/index.js'
import { projectRoot } from '../helpers/project-root.js'

/** The folder of the shapes trainer. */
export const shapesTrainer = join(projectRoot(), 'examples/shapes-trainer')

const log = silentLogger()
const datasetSchema = z.object({
  categories: z.array(categorySchema),
  images: z.array(z.object({ file: z.string(), set: z.string() })),
})

/** A small dataset of drawn shapes in a workspace, and its order. */
export async function prepare(workspace: string): Promise<TrainingOrder> {
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

/** Trains 30 steps; answers what the program told. */
export async function trainShortly(definition: TrainerDefinition, order: TrainingOrder, workspace: string) {
  const options = { definition, workspace, order, resume: false, gpus: [], owner: 'test', env: process.env }
  const program = await startTraining(options, { log })
  const events: TrainerEvent[] = []
  for await (const event of program.events) events.push(event)
  const exit = await program.exited
  expect(exit.exitCode, program.lastLines().join('\n')).to.equal(0)
  return events
}

/** Turns a model file of the workspace into `model/model.onnx` and `model/decoder.json`. */
export async function exportModel(
  definition: TrainerDefinition,
  order: TrainingOrder,
  workspace: string,
  file: string,
) {
  const modelFolder = join(workspace, 'model')
  await linkOrCopy(join(workspace, file), join(modelFolder, 'model.npz'))
  const command = definition.convert[0]?.command ?? ['false']
  const { signal } = new AbortController()
  const logFile = join(workspace, 'export.log')
  const shared = { definition, command, order, owner: 'test', env: process.env, signal, logFile }
  await runCommand({ ...shared, workspace, modelFolder }, { log })
}

/** What a model finds in the first image of the dataset. */
export async function detect(
  categories: readonly Category[],
  workspace: string,
  modelFile: string = join(workspace, 'model/model.onnx'),
) {
  const dataset = await readJsonFile(join(workspace, 'dataset/dataset.json'), datasetSchema)
  const pool = await createInferencePool({ backend: { kind: 'onnx', modelFile, categories }, threads: 2 }, { log })
  try {
    const path = join(workspace, 'dataset', dataset?.images[0]?.file ?? '')
    return (await pool.detect({ path })).detections
  } finally {
    await pool.close()
  }
}
