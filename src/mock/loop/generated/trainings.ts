import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LoopContext } from '../context.js'
import { createRandom, uuidOf } from '../generator/random.js'
import { newModel } from '../models/add-model.js'
import { attachFiles } from '../models/model-files.js'
import { nextVersion } from '../models/model-list.js'
import type { Project } from '../store/project.js'
import type { ModelRecord, TrainingRecord } from '../store/records.js'

const FILES = { 'file_1.txt': 'content of file one', 'file_2.txt': 'content of file two' }

/** Finished trainings with a `mocked` model each, and what the last model is said to have found. */
export async function addGeneratedTrainings(
  context: LoopContext,
  project: Project,
  config: { readonly trainings: number; readonly box_detections: number },
  seed: number,
): Promise<void> {
  for (let number = 1; number <= config.trainings; number++) {
    const id = uuidOf(`${seed}/${project.name}/model/${number}`)
    const model = newModel(
      nextVersion(project, 'minor'),
      new Date(context.now()).toISOString(),
      `training ${number}`,
      id,
    )
    project.record.models.push({ ...model, training_number: number })
    project.record.trainings.push(toTraining(project, id, number, seed, context.now()))
    await attachMockedFiles(context, project, id)
  }
  const version = project.record.models.at(-1)?.version ?? '0.1'
  if (config.box_detections > 0) await addDetections(project, version, config.box_detections)
}

/** A finished training that has made a model which is there already. */
export function addTrainingOf(project: Project, modelId: string, context: Pick<LoopContext, 'seed' | 'now'>): void {
  const model = project.record.models.find(({ id }) => id === modelId)
  if (model === undefined) return
  const number = project.record.trainings.length + 1
  model.training_number = number
  project.record.trainings.push(toTraining(project, modelId, number, context.seed, context.now()))
}

/** Gives a model the two files of format `mocked` that the tests of the Python library expect. */
export async function attachMockedFiles(context: LoopContext, project: Project, modelId: string): Promise<void> {
  const model = project.record.models.find(({ id }) => id === modelId)
  if (model === undefined) return
  const folder = join(await context.store.temporaryFolder(), 'files')
  await mkdir(folder)
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder, name), text)
  await attachFiles(project, model, 'mocked', folder, Object.keys(FILES))
}

async function addDetections(project: Project, version: string, count: number): Promise<void> {
  const categories = project.record.categories.filter(({ type }) => type === 'box')
  const [first, ...others] = categories
  if (first === undefined) return
  const entries = [...project.images.values()].map(({ id, width, height }) => {
    const random = createRandom(`${id}/detections`)
    const box_detections = Array.from({ length: count }, () => {
      const category = random.pick([first, ...others])
      const size = { width: random.int(24, 120), height: random.int(24, 120) }
      const corner = { x: random.int(0, width - size.width), y: random.int(0, height - size.height) }
      // In percent, as the public trainers send it.
      const confidence = random.int(20, 99)
      return {
        category_name: category.name,
        category_id: category.id,
        model_name: version,
        confidence,
        ...corner,
        ...size,
      }
    })
    const none = { point_detections: [], segmentation_detections: [], classification_detections: [] }
    return { image_id: id, version, detections: { box_detections, ...none, image_id: id, tags: null, date: null } }
  })
  await project.putDetections(entries)
}

function toTraining(
  project: Project,
  modelId: ModelRecord['id'],
  number: number,
  seed: number,
  now: number,
): TrainingRecord {
  const created = new Date(now).toISOString()
  const random = createRandom(`${seed}/${project.name}/training/${number}`)
  const images = [...project.images.values()].filter(({ state }) => state === 'complete')
  const train_image_count = images.filter(({ set }) => set === 'train').length
  const counts = { train_image_count, test_image_count: images.length - train_image_count }
  const confusion_matrix = Object.fromEntries(
    project.record.categories.map(({ id }) => [
      id,
      { tp: random.int(5, 30), fp: random.int(0, 6), fn: random.int(0, 6) },
    ]),
  )
  const point = {
    model_id: modelId,
    created,
    confusion_matrix,
    ...counts,
    hyperparameters: {},
    best_epoch: random.int(5, 50),
  }
  return {
    number,
    trainer_id: uuidOf(`${seed}/${project.name}/trainer`),
    trainer_name: 'generator',
    dialect: 'current',
    order: {},
    created,
    ended: created,
    outcome: 'completed',
    seen_active: true,
    requested: null,
    state: 'idle',
    progress: null,
    errors: {},
    ...counts,
    skipped_image_count: 0,
    points: [point],
    history: [],
  }
}
