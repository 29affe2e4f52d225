import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type BestState,
  type ConfusionMatrix,
  defineTrainer,
  type ImageDetections,
  type Training,
} from '../../executors/plugin/trainer-plugin/index.js'
import type { Category } from '../../loop/protocol/index.js'
import { readMockControls } from './mock-controls.js'

/** Syncs that count as the whole way. */
const WHOLE = 100
const SYNC_SECONDS = 5
const DELAY_SECONDS = 1
const LOOK_EVERY_MS = 100
const WEIGHTS = Buffer.from([0x42])
const STATE_FILE = 'mock.json'
const FILES = ['weightfile.weights', 'some_more_data.txt']

let syncs = 0
/** Of these, how many were asked for. */
let forced = 0
let counts: ConfusionMatrix = {}
let lastSyncAt = Date.now()

/**
 * The trainer that trains nothing, as the Python library's tests have it: sleeps until it is stopped, and reports a
 * better state every 5 s. Hyperparameters: `syncs` (ends after so many), `sync_seconds`, `delay_seconds` (what collecting
 * the model files and detecting take; 0 for a baseline).
 */
export const trainer = defineTrainer({
  name: 'mocked',
  format: 'mocked',
  architecture: 'mocked',
  models: ['small', 'medium', 'large'].map((name) => ({ name, label: name, description: `a ${name} model` })),
  dataset: 'raw',
  upload: { mocked: FILES, mocked_2: FILES },
  gpus: 0,
  lookEveryMs: LOOK_EVERY_MS,
  checkpoint: [STATE_FILE],

  startFromScratch: train,
  startFromBaseModel: train,
  canResume: ({ folder }) => existsSync(join(folder, STATE_FILE)),
  async resume(training) {
    const state = JSON.parse(readFileSync(join(training.folder, STATE_FILE), 'utf8'))
    syncs = Number(state.syncs)
    forced = Number(state.forced)
    counts = state.counts
    await train(training)
  },

  progress: () => Math.min(1, syncs / WHOLE),
  async newBest(training) {
    const controls = await readMockControls(training.folder)
    if (controls.errors.crash_training) throw new Error('crashed as it was told to')
    if (controls.errors.get_new_model) throw new Error('no new model, as it was told to')
    const isDue = Date.now() - lastSyncAt >= 1000 * numberOf(training, 'sync_seconds', SYNC_SECONDS)
    const isAskedFor = controls.steps > forced
    if (!(isDue || isAskedFor) || !controls.providesNewModel || isOver(training)) return null
    if (isAskedFor) forced += 1
    return sync(training)
  },
  async modelFiles(_best, training) {
    if ((await readMockControls(training.folder)).errors.save_model) throw new Error('not saved, as it was told to')
    await sleep(1000 * numberOf(training, 'delay_seconds', DELAY_SECONDS))
    const folder = join(training.folder, 'weights')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'weightfile.weights'), WEIGHTS)
    await writeFile(join(folder, 'some_more_data.txt'), 'some more data')
    const files = FILES.map((name) => join(folder, name))
    return { mocked: files, mocked_2: files }
  },
  async detect(images, _model, training) {
    await sleep(1000 * numberOf(training, 'delay_seconds', DELAY_SECONDS))
    return images.map(({ id }) => detections(id, training.categories))
  },
})

/** Sleeps until it is asked to end, or all its syncs are made. */
async function train(training: Training): Promise<void> {
  const { errors } = await readMockControls(training.folder)
  if (errors.begin_training) throw new Error('not begun, as it was told to')
  lastSyncAt = Date.now()
  while (!training.signal.aborted && !isOver(training)) {
    await sleep(LOOK_EVERY_MS, undefined, { signal: training.signal }).catch(() => undefined) // asked to end
  }
}

async function sync(training: Training): Promise<BestState> {
  syncs += 1
  lastSyncAt = Date.now()
  counts = Object.fromEntries(training.categories.map(({ id }) => [id, better(counts[id])]))
  await writeFile(join(training.folder, STATE_FILE), JSON.stringify({ syncs, forced, counts }))
  return { confusionMatrix: counts, epoch: syncs }
}

function better({ tp, fp, fn } = { tp: 0, fp: 100, fn: 100 }) {
  return { tp: tp + atRandom(), fp: Math.max(2, fp - atRandom()), fn: Math.max(2, fn - atRandom()) }
}

function atRandom(): number {
  return 1 + Math.floor(Math.random() * 9)
}

function isOver(training: Training): boolean {
  return syncs >= numberOf(training, 'syncs', Number.POSITIVE_INFINITY)
}

function numberOf({ hyperparameters }: Training, name: string, otherwise: number): number {
  const value = Number(hyperparameters[name] ?? otherwise)
  return Number.isNaN(value) ? otherwise : value
}

/** One of each category's type, always at the same place. */
function detections(imageId: string, categories: readonly Category[]): ImageDetections {
  const of = (type: Category['type'], confidence: number) =>
    categories.filter((one) => one.type === type).map(({ id }) => ({ category_id: id, confidence }))
  const shape = {
    points: [
      { x: 1, y: 2 },
      { x: 3, y: 4 },
    ],
  }
  return {
    image_id: imageId,
    box_detections: of('box', 0.99).map((one) => ({ ...one, x: 1, y: 2, width: 30, height: 40 })),
    point_detections: of('point', 0.97).map((one) => ({ ...one, x: 100, y: 200 })),
    segmentation_detections: of('segmentation', 0.96).map((one) => ({ ...one, shape })),
    classification_detections: of('classification', 0.95),
  }
}
