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

/** What the pipeline needs of one run of a training: its steps, its lease, and what its trainer has. */
export type PipelineRun = {
  /** Runs one step as a job, or skips it if it is done. */
  step(stage: StageName): Promise<void>
  /** Waits for the slots that the trainer needs, runs the work and gives them back. */
  withLease(work: () => Promise<void>): Promise<void>
  readonly converts: boolean
  /** False without a detect section, and after a stop that came when the training had finished. */
  readonly detects: () => boolean
}

/** All steps of a training, from the download to the detections (docs/architecture.md). The caller cleans up in any case. */
export async function runPipeline(pipeline: PipelineRun): Promise<void> {
  await bothDone([pipeline.step('download-data'), pipeline.step('download-model')])
  await pipeline.withLease(() => pipeline.step('train'))
  await pipeline.step('sync-metrics')
  if (pipeline.converts) {
    await pipeline.step('download-data') // a stop may have ended it, and conversions may read the data
    await pipeline.step('convert')
  }
  await pipeline.step('upload-model')
  if (pipeline.detects()) await pipeline.step('detect')
  if (pipeline.detects()) await pipeline.step('upload-detections')
}

// The pipeline run ends the other download if one fails; both must be over before the workspace is cleaned up.
async function bothDone(steps: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(steps)
  await Promise.all(steps)
}
