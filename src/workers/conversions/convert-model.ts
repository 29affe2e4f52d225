import { basename, join } from 'node:path'
import { removeTree } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import {
  type ConversionFile,
  MODEL_FOLDER,
  ModelNotConvertibleError,
  OUTPUT_FOLDER,
  writeConversionFile,
} from '../../executors/contract/index.js'
import type { Lease, Slots } from '../../executors/gpu/index.js'
import type { Converter, OutputAudience, OutputWatchDeps } from '../../executors/program/index.js'
import { filesProblem } from '../../executors/training/index.js'
import { type DownloadedModel, LoopRequestError, type LoopRest, type ModelExchange } from '../../loop/client/index.js'
import type { ModelJson } from '../../loop/protocol/index.js'
import type { ConversionOrder, GpusToSpare } from '../../queue/index.js'
import { ModelGoneError } from './errors.js'

/** What a conversion works with; handed in once when the worker is built. */
export type ConversionDeps = {
  readonly rest: Pick<LoopRest, 'project' | 'models'>
  readonly models: Pick<ModelExchange, 'download' | 'uploadConverted'>
  readonly slots: Slots
  readonly outputThread?: OutputWatchDeps['outputThread']
  /** REST address of the Loop, for the `conversion.json` that programs read. */
  readonly loopAddress: string
  /** This host's environment; programs get what is on the allow-list. */
  readonly programEnv: Readonly<Record<string, string | undefined>>
}

/** What a step works with in one run of a conversion. */
export type ConversionStep = {
  readonly order: ConversionOrder
  /** Absolute. */
  readonly workspace: string
  readonly signal: AbortSignal
  readonly log: Logger
  /** A line for people. */
  say(line: string): void
  /** Follows the output of its program. */
  readonly audience: OutputAudience
  progress(share: number, message: string): void
}

export type FetchedModel = { readonly file: ConversionFile; readonly modelJson: ModelJson }

/** The first step: empties the workspace and downloads the model into it. Throws LF_MODEL_GONE. */
export async function downloadModel(step: ConversionStep, deps: ConversionDeps): Promise<FetchedModel> {
  const { order } = step
  step.progress(0, 'download')
  await removeTree(step.workspace)
  const { model, categories } = await fetchModel(step, deps)
  const modelJson = jsonOf(model, order)
  step.say(`model ${order.modelVersion} in ${order.sourceFormat}: ${model.files.length} files`)
  const file: ConversionFile = {
    version: 1,
    converter: order.converter,
    source_format: order.sourceFormat,
    target_format: order.targetFormat,
    model_folder: MODEL_FOLDER,
    output_folder: OUTPUT_FOLDER,
    model: {
      host: deps.loopAddress,
      organization: order.organization,
      project: order.project,
      id: order.modelId,
      version: order.modelVersion,
      categories,
      resolution: modelJson.resolution,
      model_json: modelJson,
    },
  }
  await writeConversionFile(step.workspace, file)
  return { file, modelJson }
}

export type ProgramOfConversion = {
  readonly converter: Converter
  readonly file: ConversionFile
  readonly logFile: string
  readonly owner: string
  /** GPUs on which it has failed. */
  readonly spare: GpusToSpare
  /** Called directly before the program is started, with what it is lent. */
  onStart(lease: Lease | undefined): void
  /** Throws when a newer run has begun; called directly before the program is started. */
  checkFence(): Promise<void>
}

/** The second step: runs the program of the converter and returns its files. */
export async function runConverter(
  step: ConversionStep,
  { converter, file, logFile, owner, spare, onStart, checkFence }: ProgramOfConversion,
  deps: ConversionDeps,
): Promise<readonly string[]> {
  const { workspace, signal, audience, log } = step
  step.progress(0, 'convert')
  const lease: Lease | undefined =
    converter.gpus === 0 ? undefined : await deps.slots.acquire(converter.gpus, { signal, ...spare })
  try {
    await checkFence()
    onStart(lease)
    const files = await converter.convert(
      {
        ...{ workspace, file, owner, logFile, audience, signal },
        modelFolder: join(workspace, MODEL_FOLDER),
        outputFolder: join(workspace, OUTPUT_FOLDER),
        gpus: lease?.visible ?? [],
        env: deps.programEnv,
      },
      { log, outputThread: deps.outputThread },
    )
    await assertWhole(files, step.order)
    return files
  } finally {
    lease?.release()
  }
}

/** The last step. Directly before the upload `begin` records the intent; it throws if a newer run has begun. */
export async function uploadModel(
  step: ConversionStep,
  what: { readonly files: readonly string[]; readonly modelJson: ModelJson; begin(): Promise<void> },
  deps: ConversionDeps,
): Promise<void> {
  const { order, signal } = step
  const { files, modelJson } = what
  const { organization, project, modelId, targetFormat: format } = order
  step.progress(0, 'upload')
  await what.begin()
  await deps.models.uploadConverted({ organization, project, modelId, format, files, modelJson, signal })
  step.say(`uploaded ${format} of model ${order.modelVersion}: ${files.map((path) => basename(path)).join(', ')}`)
}

/** Whether the Loop has the format already: the worker of an earlier run may have died after the upload, before it was recorded. */
export async function isAtLoop(order: ConversionOrder, deps: ConversionDeps, signal: AbortSignal): Promise<boolean> {
  const models = await deps.rest.models(order.organization, order.project, { signal })
  return models.some(({ id, formats }) => id === order.modelId && formats.includes(order.targetFormat))
}

async function assertWhole(files: readonly string[], { targetFormat: format }: ConversionOrder): Promise<void> {
  const problem = await filesProblem(files)
  if (problem === undefined) return
  throw new ModelNotConvertibleError(`The conversion to "${format}" made a model that is not whole: ${problem}.`, {
    format,
  })
}

/** Downloads the model and reads the categories of its project. Throws LF_MODEL_GONE if the Loop has no such model any more. */
async function fetchModel(step: ConversionStep, deps: ConversionDeps) {
  const { organization, project, modelId, sourceFormat: format, resource } = step.order
  const { signal } = step
  const folder = join(step.workspace, MODEL_FOLDER)
  try {
    const { categories } = await deps.rest.project(resource, { signal })
    const model = await deps.models.download({ organization, project, modelId, format, folder, signal })
    return { model, categories }
  } catch (error) {
    if (isNotFound(error) && (await isGone(step.order, deps, signal))) throw new ModelGoneError(modelId)
    throw error
  }
}

async function isGone(order: ConversionOrder, deps: ConversionDeps, signal: AbortSignal): Promise<boolean> {
  try {
    const models = await deps.rest.models(order.organization, order.project, { signal })
    return !models.some(({ id, formats }) => id === order.modelId && formats.includes(order.sourceFormat))
  } catch (error) {
    if (isNotFound(error)) return true // the project was deleted too
    throw error
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof LoopRequestError && error.details.status === 404
}

function jsonOf({ modelJson }: DownloadedModel, order: ConversionOrder): ModelJson {
  if (modelJson !== undefined) return modelJson
  throw new ModelNotConvertibleError(
    `The zip of model ${order.modelVersion} in ${order.sourceFormat} has no model.json.`,
    { modelId: order.modelId },
  )
}
