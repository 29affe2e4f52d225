import { z } from 'zod'
import { confusionMatrixSchema } from '../../loop/protocol/index.js'
import { stages } from './names.js'

/** One step on a queue of a host, as `StepQueue` makes it; its record says whose it is. */
export const stepJobSchema = z.object({ id: z.string().min(1), run: z.int().min(1), step: z.enum(stages) })

/** One point of a training's metrics, on the queue of the seat that sends it to the Loop. */
export const metricsJobSchema = z.object({
  trainingId: z.string().min(1),
  run: z.int().min(1),
  seat: z.object({ uuid: z.string().min(1), name: z.string() }),
  organization: z.string().min(1),
  project: z.string().min(1),
  sequence: z.int().min(0),
  point: z.object({
    confusionMatrix: confusionMatrixSchema,
    epoch: z.number().nullable(),
    trainImageCount: z.int().min(0).nullable(),
    testImageCount: z.int().min(0).nullable(),
    hyperparameters: z.record(z.string(), z.unknown()).nullable(),
  }),
})
export type MetricsJob = z.infer<typeof metricsJobSchema>

/** A look for models to convert in `scans.<converter>`: in one project, or in all that the Loop shows. */
export const scanJobSchema = z.object({
  project: z.object({ organization: z.string().min(1), project: z.string().min(1) }).nullable(),
})
export type ScanJob = z.infer<typeof scanJobSchema>

/** The figures of one graphics card; null where the card does not report one. */
export const gpuFiguresSchema = z.object({
  index: z.int().min(0),
  name: z.string().nullish(),
  utilizationPercent: z.number().nullable(),
  memoryUsedBytes: z.number().nullable(),
  memoryTotalBytes: z.number().nullable(),
  temperatureCelsius: z.number().nullable(),
  powerWatts: z.number().nullable(),
})

/** The BullMQ progress of a step: how far it is, and the figures of its lease and its process tree. */
export const stepProgressSchema = z.object({
  progress: z.number().nullable(),
  epoch: z.number().optional(),
  epochs: z.number().optional(),
  message: z.string().optional(),
  /** Which attempt at the step it is, if they follow each other in one job. */
  attempt: z.int().min(1).optional(),
  gpus: z.array(gpuFiguresSchema).nullable(),
  process: z.object({ cpuPercent: z.number(), memoryBytes: z.number() }).nullable(),
})
export type StepProgress = z.infer<typeof stepProgressSchema>
