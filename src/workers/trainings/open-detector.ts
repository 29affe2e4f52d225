import { join } from 'node:path'
import type { Logger } from '../../base/logger/index.js'
import { confThreshold } from '../../executors/definition/index.js'
import { type OutputAudience, orderValues } from '../../executors/program/index.js'
import { runCommand } from '../../executors/training/index.js'
import { isImageError } from '../../images/index.js'
import { detectExternally, type Findings, type InferencePool } from '../../inference/index.js'
import type { ModelJson } from '../../loop/protocol/index.js'
import { NoModelError } from './errors.js'
import type { StageDeps } from './stages/stage.js'
import { ensureTrainingFile } from './training-file.js'
import type { TrainingRun } from './training-run.js'

/** Runs a model over images: on the thread pool, or by the trainer's own detect command. */
export type Detector = {
  /** One answer per image, in any order; undefined for an image that cannot be read. */
  detect(ids: readonly string[]): AsyncIterable<{ readonly id: string; readonly result: Findings | undefined }>
  threadIds(): readonly number[]
  close(): Promise<void>
}

export type DetectorOptions = {
  readonly training: TrainingRun
  readonly model: ModelJson
  readonly signal: AbortSignal
  readonly log: Logger
  /** Follows the output of a detect command. */
  readonly audience?: OutputAudience
}

export async function openDetector(options: DetectorOptions, deps: StageDeps): Promise<Detector> {
  const { detect } = options.training.definition
  if (detect === undefined) throw new NoModelError('The trainer definition says nothing about detection.')
  return 'command' in detect ? openCommand(options, deps) : await openPool(options, deps)
}

async function openPool(options: DetectorOptions, deps: StageDeps): Promise<Detector> {
  const { training, model, signal } = options
  const { definition, paths, order } = training
  const detect = definition.detect
  const modelFile = definition.upload[detect?.format ?? '']?.find((name) => name.endsWith('.onnx'))
  if (modelFile === undefined) {
    throw new NoModelError(`The files of format "${detect?.format}" name no .onnx file to detect with.`)
  }
  const { resolution } = orderValues(definition, order)
  const pool = await deps.createPool({
    backend: {
      kind: 'onnx',
      modelFile: join(paths.deployedModel, modelFile),
      categories: order.categories,
      resolution: resolution === undefined ? undefined : Number(resolution),
      thresholds: { wanted: confThreshold(definition, order), ofModel: model.conf_threshold },
    },
    threads: deps.threads,
    confidence: detect?.confidence,
  })
  for (const warning of pool.warnings ?? []) options.log.warn({ version: model.version }, warning)
  return {
    detect: (ids) => detectEach(ids, { pool, path: (id) => imagePath(id, training, deps), signal }),
    threadIds: () => pool.threadIds,
    close: () => pool.close(),
  }
}

type PoolWork = {
  readonly pool: InferencePool
  readonly path: (id: string) => string
  readonly signal: AbortSignal
}

async function* detectEach(ids: readonly string[], { pool, path, signal }: PoolWork) {
  // All are handed in together: the pool queues them, and answers are taken in order as they come.
  const answers = ids.map(async (id) => {
    try {
      const { detections } = await pool.detect({ path: path(id) }, { signal })
      return { id, result: detections }
    } catch (error) {
      if (isImageError(error)) return { id, result: undefined }
      throw error
    }
  })
  for (const answer of answers) answer.catch(() => undefined) // the first failure ends the loop below
  for (const answer of answers) yield await answer
}

function openCommand({ training, signal, log, audience }: DetectorOptions, deps: StageDeps): Detector {
  const { definition, paths, order } = training
  const detect = definition.detect
  const command = detect !== undefined && 'command' in detect ? detect.command : undefined
  return {
    async *detect(ids) {
      if (command === undefined || ids.length === 0) return
      await training.checkFence()
      await ensureTrainingFile(training)
      const options = {
        images: ids.map((id) => ({ id, path: imagePath(id, training, deps) })),
        categories: order.categories,
        confidence: detect?.confidence,
        folder: join(paths.workspace, 'detect'),
        signal,
      }
      const run = (folders: { readonly images: string; readonly output: string }) =>
        runCommand(
          {
            definition,
            command,
            workspace: paths.workspace,
            order,
            modelFolder: paths.deployedModel,
            imagesFolder: folders.images,
            outputFolder: folders.output,
            gpus: training.lease?.visible ?? [],
            owner: training.owner,
            env: training.programEnv,
            logFile: paths.log,
            signal,
            audience,
          },
          { log, outputThread: deps.outputThread },
        )
      const found = await detectExternally(options, { run, log })
      const least = (confThreshold(definition, order) ?? 0) * (detect?.confidence === 'percent' ? 100 : 1)
      for (const id of ids) yield { id, result: withConfidence(found.get(id), least) }
    },
    threadIds: () => [],
    close: async () => undefined,
  }
}

/** A program may know nothing of the threshold that an order or the trainer file names. */
function withConfidence(found: Findings | undefined, least: number): Findings | undefined {
  if (found === undefined) return undefined
  const above = <Found extends { readonly confidence: number }>(list: Found[]) =>
    list.filter(({ confidence }) => confidence >= least)
  return {
    box_detections: above(found.box_detections),
    point_detections: above(found.point_detections),
    segmentation_detections: above(found.segmentation_detections),
    classification_detections: above(found.classification_detections),
  }
}

function imagePath(id: string, { order }: TrainingRun, deps: StageDeps): string {
  return deps.images.imagePath(order.organization, order.project, id)
}
