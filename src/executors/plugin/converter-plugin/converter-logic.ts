import type { Category } from '../../../loop/protocol/index.js'
import type { VisibleGpu } from '../../contract/index.js'
import type { GpuCount } from '../../gpu/index.js'
import type { Awaitable, Started } from '../trainer-plugin/trainer-logic.js'

/** What is known of the model that is converted. */
export type ModelInfo = {
  /** REST base address of the Loop. */
  readonly host: string
  readonly organization: string
  readonly project: string
  readonly id: string
  readonly version: string
  /** Of the project, as it is now; those of the model stand in `modelJson`, in the order of its classes. */
  readonly categories: readonly Category[]
  /** Image size in pixels, if the model's own model.json says so. */
  readonly resolution: number | null
  readonly modelJson: Readonly<Record<string, unknown>>
}

/** The conversion a hook works on. Folders are absolute; `folder` is also the working directory. */
export type Conversion = {
  readonly sourceFormat: string
  readonly targetFormat: string
  readonly model: ModelInfo
  /** The source model's files as they came, sub folders included. */
  readonly modelFolder: string
  /** Empty at the start, for the result. */
  readonly outputFolder: string
  readonly folder: string
  /** The leased GPUs as CUDA_VISIBLE_DEVICES names them: indices, or UUIDs where CUDA may count otherwise. */
  readonly gpus: readonly VisibleGpu[]
  /** Aborted when the conversion is asked to end; what does not heed it is killed after the grace time. */
  readonly signal: AbortSignal
}

/**
 * A converter as a plug-in. Its hooks run in a child process of the worker, which is supervised like any program: a
 * hook that throws or takes too long fails its conversion and nothing else.
 */
export type ConverterLogic = {
  readonly name: string
  readonly sourceFormat: string
  /** The formats it makes, each by a conversion of its own. */
  readonly targetFormats: readonly string[]
  /** A conversion that takes longer is ended and counts as failed; an hour without it. */
  readonly timeoutSeconds?: number
  readonly gpus?: GpuCount
  readonly env?: Readonly<Record<string, string | number | boolean>>
  /** Log lines (regular expressions) that say why a conversion failed. */
  readonly errors?: readonly { readonly log: string; readonly cause: string }[]
  /** Makes the files, itself or by the program that it answers. */
  readonly convert: (conversion: Conversion) => Awaitable<Started>
  /** The files to be uploaded, relative to the output folder or absolute; all files in that folder without this hook. */
  readonly convertedFiles?: (conversion: Conversion) => Awaitable<readonly string[]>
}

/** Gives a converter its types: `export const converter = defineConverter({ … })`. */
export function defineConverter(logic: ConverterLogic): ConverterLogic {
  return logic
}
