import type { Stage as StageName } from '../../queue/index.js'
import { cleanup } from './stages/cleanup.js'
import { convert } from './stages/convert.js'
import { detect } from './stages/detect.js'
import { downloadData } from './stages/download-data.js'
import { downloadModel } from './stages/download-model.js'
import type { Stages } from './stages/stage.js'
import { syncMetrics } from './stages/sync-metrics.js'
import { train } from './stages/train.js'
import { uploadDetections } from './stages/upload-detections.js'
import { uploadModel } from './stages/upload-model.js'

/** Every stage under the name of its job. */
export const allStages: Stages = {
  'download-data': downloadData,
  'download-model': downloadModel,
  train,
  'sync-metrics': syncMetrics,
  convert,
  'upload-model': uploadModel,
  detect,
  'upload-detections': uploadDetections,
  cleanup,
}

/** What the pipeline needs of a training: its steps, its lease, and what its trainer asks for. */
export type Walk = {
  /** Runs one step as a job, or passes over it if it was done before. */
  step(stage: StageName): Promise<void>
  /** Waits for the slots the trainer needs, and gives them back when the work is done. */
  withLease(work: () => Promise<void>): Promise<void>
  readonly converts: boolean
  /** False without a detect section, and after a stop that came when the training had finished. */
  readonly detects: () => boolean
}

/** A training's way, from order to detections (docs/architecture.md). Cleaning up follows in any case. */
export async function walkPipeline(walk: Walk): Promise<void> {
  await bothDone([walk.step('download-data'), walk.step('download-model')])
  await walk.withLease(() => walk.step('train'))
  await walk.step('sync-metrics')
  if (walk.converts) {
    await walk.step('download-data') // a stop may have ended it, and conversions may read the data
    await walk.step('convert')
  }
  await walk.step('upload-model')
  if (walk.detects()) await walk.step('detect')
  if (walk.detects()) await walk.step('upload-detections')
}

// A failed download ends the other one (the walk sees to that); it must be over before the workspace is cleaned up.
async function bothDone(steps: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(steps)
  await Promise.all(steps)
}
