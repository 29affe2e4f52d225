import { basename, join } from 'node:path'
import { removeTree } from '../../base/files.js'
import type { Logger } from '../../base/logger.js'
import {
  type ConversionFile,
  MODEL_FOLDER,
  OUTPUT_FOLDER,
  writeConversionFile,
} from '../../executors/conversion-file.js'
import type { Converter } from '../../executors/converter.js'
import { ModelNotConvertibleError } from '../../executors/errors.js'
import type { Lease, Slots } from '../../executors/gpu/slots.js'
import type { OutputAudience, OutputWatchDeps } from '../../executors/output-watch.js'
import { filesProblem } from '../../executors/whole-files/files-problem.js'
import { LoopRequestError } from '../../loop/client/errors.js'
import type { DownloadedModel } from '../../loop/client/model-download.js'
import type { ModelExchange } from '../../loop/client/model-exchange.js'
import type { LoopRest } from '../../loop/client/rest.js'
import type { ModelJson } from '../../loop/protocol/index.js'
import type { ConversionOrder, ConversionRecord } from '../../queue/conversions.js'
import { ModelGoneError } from './errors.js'

/** What a conversion works with; handed in once when the worker is built. */
export type ConversionDeps = {
  readonly rest: Pick<LoopRest, 'project' | 'models'>
  readonly models: Pick<ModelExchange, 'download' | 'uploadConverted'>
  readonly slots: Slots
  readonly outputThread?: OutputWatchDeps['outputThread']
  /** REST address of the Loop, for the author. */
  readonly loopAddress: string
  /** This host's environment; programs get what is on the allow-list. */
  readonly programEnv: Readonly<Record<string, string | undefined>>
}

/** One take of one conversion. */
export type ConversionTake = {
  readonly record: ConversionRecord
  readonly converter: Converter
  readonly run: number
  /** Absolute; emptied before. */
  readonly workspace: string
  readonly logFile: string
  readonly owner: string
  readonly signal: AbortSignal
  readonly log: Logger
  /** Throws when another take has begun; called directly before every effect outside. */
  checkFence(): Promise<void>
  /** Does the work when this host has a place for one more program. */
  inPlace<T>(work: () => Promise<T>): Promise<T>
  /** A line for people. */
  say(line: string): void
  /** Who follows the output of its program. */
  readonly audience: OutputAudience
  progress(share: number, message: string): void
}

/**
 * Downloads the model, converts it and uploads the files; answers their names. It may be taken again at any time, after
 * any kill: the upload names model and format, and a later take first looks whether the Loop has the format by now.
 */
export async function convertModel(take: ConversionTake, deps: ConversionDeps): Promise<readonly string[]> {
  const { record, signal } = take
  const { order } = record
  if (take.run > 1 && (await isAtLoop(order, deps, signal))) {
    take.say(`the Loop has ${order.targetFormat} already`)
    return record.files
  }
  take.progress(0, 'download')
  await removeTree(take.workspace)
  const { model, categories } = await fetchModel(take, deps)
  const modelJson = jsonOf(model, order)
  take.say(`model ${order.modelVersion} in ${order.sourceFormat}: ${model.files.length} files`)
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
  await writeConversionFile(take.workspace, file)
  take.progress(0.2, 'wait')
  const files = await take.inPlace(() => convert(file, take, deps))
  await assertWhole(files, order)
  take.progress(0.8, 'upload')
  await take.checkFence()
  const { organization, project, modelId, targetFormat: format } = order
  await deps.models.uploadConverted({ organization, project, modelId, format, files, modelJson, signal })
  take.say(`uploaded ${format} of model ${order.modelVersion}: ${files.map((path) => basename(path)).join(', ')}`)
  return files.map((path) => basename(path))
}

async function assertWhole(files: readonly string[], { targetFormat: format }: ConversionOrder): Promise<void> {
  const problem = await filesProblem(files)
  if (problem === undefined) return
  throw new ModelNotConvertibleError(`The conversion to "${format}" made a model that is not whole: ${problem}.`, {
    format,
  })
}

async function isAtLoop(order: ConversionOrder, deps: ConversionDeps, signal: AbortSignal): Promise<boolean> {
  const models = await deps.rest.models(order.organization, order.project, { signal })
  return models.some(({ id, formats }) => id === order.modelId && formats.includes(order.targetFormat))
}

/** The model's files, and the categories of its project. Throws LF_MODEL_GONE when there is no such model any more. */
async function fetchModel(take: ConversionTake, deps: ConversionDeps) {
  const { organization, project, modelId, sourceFormat: format, resource } = take.record.order
  const { signal } = take
  const folder = join(take.workspace, MODEL_FOLDER)
  try {
    const { categories } = await deps.rest.project(resource, { signal })
    const model = await deps.models.download({ organization, project, modelId, format, folder, signal })
    return { model, categories }
  } catch (error) {
    if (isNotFound(error) && (await isGone(take.record.order, deps, signal))) throw new ModelGoneError(modelId)
    throw error
  }
}

async function isGone(order: ConversionOrder, deps: ConversionDeps, signal: AbortSignal): Promise<boolean> {
  try {
    const models = await deps.rest.models(order.organization, order.project, { signal })
    return !models.some(({ id, formats }) => id === order.modelId && formats.includes(order.sourceFormat))
  } catch (error) {
    if (isNotFound(error)) return true // the project, too
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

async function convert(file: ConversionFile, take: ConversionTake, deps: ConversionDeps): Promise<readonly string[]> {
  const { converter } = take
  take.progress(0.2, 'convert')
  const lease: Lease | undefined =
    converter.gpus === 0 ? undefined : await deps.slots.acquire(converter.gpus, { signal: take.signal })
  try {
    await take.checkFence()
    return await converter.convert(
      {
        workspace: take.workspace,
        modelFolder: join(take.workspace, MODEL_FOLDER),
        outputFolder: join(take.workspace, OUTPUT_FOLDER),
        file,
        gpus: lease?.visible ?? [],
        owner: take.owner,
        env: deps.programEnv,
        logFile: take.logFile,
        audience: take.audience,
        signal: take.signal,
      },
      { log: take.log, outputThread: deps.outputThread },
    )
  } finally {
    lease?.release()
  }
}
