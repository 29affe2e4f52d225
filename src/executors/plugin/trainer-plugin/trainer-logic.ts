import type { Category, ConfusionMatrix } from '../../../loop/protocol/index.js'
import type { VisibleGpu } from '../../contract/index.js'
import type { DatasetFormat } from '../../dataset/index.js'
import type { GpuCount } from '../../gpu/index.js'
import type { TrainerReports } from './reports.js'

/** Or a promise of it: every hook may be async. */
export type Awaitable<T> = T | Promise<T>

/** A program that the hook wants run for it, in the training's folder: an argument list, never a shell line. */
export type ProgramToRun = {
  readonly command: readonly [string, ...string[]]
  /** More environment variables. */
  readonly env?: Readonly<Record<string, string>>
}
/** What a hook that starts something answers: a program, or nothing when the hook itself has done the work. */
// biome-ignore lint/suspicious/noConfusingVoidType: a hook without any return is the usual case
export type Started = ProgramToRun | undefined | void

/** The training a hook works on. Folders are absolute; `folder` is also the working directory. */
export type Training = {
  readonly id: string
  readonly organization: string
  readonly project: string
  readonly trainingNumber: number
  /** Their order is the class order of the model. */
  readonly categories: readonly Category[]
  readonly hyperparameters: Readonly<Record<string, unknown>>
  /** Name of the pretrained model that was ordered; may be empty. */
  readonly modelVariant: string
  readonly folder: string
  readonly dataset: { readonly format: string; readonly folder: string }
  /** The Loop's model to go on from. */
  readonly baseModel: { readonly folder: string } | null
  /** Whether this start goes on from a checkpoint. */
  readonly resume: boolean
  /** The leased GPUs as CUDA_VISIBLE_DEVICES names them: indices, or UUIDs where CUDA may count otherwise. */
  readonly gpus: readonly VisibleGpu[]
  /** Aborted when the training is asked to end; what does not heed it is killed after the grace time. */
  readonly signal: AbortSignal
  /** Reports immediately, while the hooks below are called at intervals. */
  readonly report: TrainerReports
}

/** A new best state of the training. */
export type BestState = {
  /** Counts by category id; classes may be missing, and all of it when nothing was measured. */
  readonly confusionMatrix?: ConfusionMatrix | undefined
  readonly epoch?: number | undefined
  /** Its files, if `modelFiles` is not to be asked. */
  readonly files?: ModelFiles | undefined
  /** Any numbers, for curves. */
  readonly values?: Readonly<Record<string, number>> | undefined
  /** Whatever the other hooks want to know of it. */
  readonly meta?: unknown
}
/** Format → paths, relative to the training's folder or absolute; a plain list is the trainer's own format. */
export type ModelFiles = Readonly<Record<string, readonly string[]>> | readonly string[]

/** A model on this disk. */
export type ModelFolder = { readonly folder: string }
export type ImageToDetect = { readonly id: string; readonly path: string }

type Named = { readonly category_id?: string; readonly category_name?: string; readonly confidence: number }
type Point = { readonly x: number; readonly y: number }
/** What was found in one image, in pixels; each thing names its category by id or name, confidence is 0 to 1. */
export type ImageDetections = {
  readonly image_id: string
  readonly box_detections?: readonly (Named & Point & { readonly width: number; readonly height: number })[]
  readonly point_detections?: readonly (Named & Point)[]
  readonly segmentation_detections?: readonly (Named & { readonly shape: { readonly points: readonly Point[] } })[]
  readonly classification_detections?: readonly Named[]
}

export type ConvertStep = {
  readonly format: string
  /** Makes the files of `upload[format]` in the model's folder. */
  readonly convert: (model: ModelFolder, training: Training) => Awaitable<Started>
}

/**
 * A trainer as a plug-in. Its hooks run in a child process of the worker, which is supervised like any training
 * program: a hook that throws or hangs fails its training and nothing else.
 */
export type TrainerLogic = {
  readonly name: string
  /** Key under which the Loop stores the model. */
  readonly format: string
  readonly architecture?: string
  /** The pretrained models that can be ordered. */
  readonly models?: readonly { readonly name: string; readonly label?: string; readonly description?: string }[]
  readonly dataset: DatasetFormat
  /** Format → names of its files. */
  readonly upload: Readonly<Record<string, readonly string[]>>
  readonly gpus?: GpuCount
  /** Image size when the order names none. */
  readonly resolution?: number
  readonly env?: Readonly<Record<string, string | number | boolean>>
  /** Log lines (regular expressions) that say why a training failed. */
  readonly errors?: readonly { readonly log: string; readonly cause: string }[]
  /** Files and folders that a resume on another host needs. */
  readonly checkpoint?: readonly string[]
  /** A file in the training's folder without which nothing can be resumed. */
  readonly resumeWhen?: string
  /** How often the hooks `progress`, `errorInLog` and `newBest` are asked; 5 s without it. */
  readonly lookEveryMs?: number
  /** How long each of these may take, and the other short hooks; 60 s without it. */
  readonly hookTimeoutMs?: number

  readonly startFromScratch: (training: Training) => Awaitable<Started>
  readonly startFromBaseModel?: (training: Training) => Awaitable<Started>
  /** Whether the checkpoint can be resumed from; `finished` if the training was done when it was saved. */
  readonly canResume?: (training: Training) => Awaitable<boolean | 'finished'>
  readonly resume?: (training: Training) => Awaitable<Started>
  /** 0 to 1. */
  readonly progress?: (training: Training) => Awaitable<number | null | undefined>
  /** Gets the end of the log of this start (64 KB); a message ends the training with it. */
  readonly errorInLog?: (log: string, training: Training) => Awaitable<string | null | undefined>
  readonly newBest?: (training: Training) => Awaitable<BestState | null | undefined>
  /** The files of the best state, when `newBest` does not name them. */
  readonly modelFiles?: (best: BestState, training: Training) => Awaitable<ModelFiles>
  /** The files of that state are set aside, so that they may be moved, overwritten or deleted. */
  readonly published?: (best: BestState, training: Training) => Awaitable<void>
  readonly convert?: readonly ConvertStep[]
  readonly detect?:
    | { readonly backend: 'onnx'; readonly format?: string; readonly confidence?: 'unit' | 'percent' }
    | ((
        images: readonly ImageToDetect[],
        model: ModelFolder,
        training: Training,
      ) => Awaitable<readonly ImageDetections[]>)
  /** The training is over and its folder will be cleared. */
  readonly cleanUp?: (training: Training) => Awaitable<void>
}

/** Gives a trainer its types: `export const trainer = defineTrainer({ … })`. */
export function defineTrainer(logic: TrainerLogic): TrainerLogic {
  return logic
}
