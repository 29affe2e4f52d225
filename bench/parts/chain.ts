import { type Stage, type WorkKind, workKinds } from '../../src/queue/jobs/names.js'

/** All jobs of one training, run to the end; again and again, one training after the other. */
export type Chain = {
  run(): Promise<void>
  close(): Promise<void>
}

/** The steps of the no-op trainer in their order; those in one list run side by side. */
export const chainSteps: readonly (readonly Stage[])[] = [
  ['download-data', 'download-model'],
  ['train'],
  ['sync-metrics'],
  ['upload-model'],
  ['detect'],
  ['upload-detections'],
  ['cleanup'],
]
export const chainKinds: readonly WorkKind[] = workKinds
