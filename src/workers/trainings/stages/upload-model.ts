import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { confThreshold } from '../../../executors/definition/index.js'
import { filesProblem } from '../../../executors/training/index.js'
import type { TrainingOrder } from '../../../loop/protocol/index.js'
import { ModelIncompleteError, NoModelError } from '../errors.js'
import type { Stage, StageContext, StageDeps } from './stage.js'

/**
 * Uploads the model format by format. Each upload is recorded before it is sent (intent) and after the answer of the Loop
 * (confirmed); after a crash or a lost answer the PUT is repeated, and the Loop returns the same model id.
 */
export const uploadModel: Stage = {
  name: 'upload-model',
  kind: 'upload',
  loopStates: { during: 'train_model_uploading', after: 'train_model_uploaded' },
  reportsProgress: false,
  errorKey: 'upload_model',
  onStop: 'continues',
  servesUpload: false,
  results: 'at-loop',
  run,
}

async function run(context: StageContext, deps: StageDeps) {
  const { training } = context
  const formats = Object.entries(training.definition.upload)
  if (formats.length === 0) throw new NoModelError('The trainer definition names no files to upload.')
  const { models, ...record } = await training.record()
  let { modelId } = record
  for (const [index, [format, names]] of formats.entries()) {
    context.progress({ progress: index / formats.length, message: format })
    const files = names.map((name) => join(training.paths.model, name))
    await assertFilesExist(format, names, training.paths.model)
    const problem = await filesProblem(files)
    if (problem !== undefined) throw new ModelIncompleteError({ format, problem })
    const hash = await hashFiles(files)
    const known = models[format]
    if (known?.state !== 'confirmed' || known.hash !== hash) {
      modelId = (await upload({ format, files, hash }, context, deps)) ?? modelId
    } else if (known.id !== '' && known.id !== modelId) {
      modelId = known.id
      await training.update({ modelId })
    }
  }
  if (modelId === null) throw modelWithoutId(training.order)
  return { modelId, formats: formats.map(([format]) => format) }
}

/** Throws for missing files. No retry creates them; the models stay on disk, so that a corrected trainer file can upload them. */
async function assertFilesExist(format: string, names: readonly string[], folder: string): Promise<void> {
  const found = await readdir(folder)
  const missing = names.filter((name) => !found.includes(name))
  if (missing.length === 0) return
  const quoted = (list: readonly string[]) => list.map((name) => `"${name}"`).join(', ')
  throw new NoModelError(
    `"upload.${format}" names ${quoted(missing)}, but the model has only ${quoted(found.sort()) || 'no files'}; correct the trainer file, start its worker again, and retry the training.`,
    { format, missing, found },
  )
}

type Upload = { readonly format: string; readonly files: string[]; readonly hash: string }

/** The model's id; null if the Loop had the format already and did not name its model. */
async function upload({ format, files, hash }: Upload, context: StageContext, deps: StageDeps): Promise<string | null> {
  const { training, signal } = context
  await training.update({ models: { [format]: { id: '', hash, state: 'intent' } } })
  await training.checkFence()
  const { id } = await deps.models.uploadTrained({
    organization: training.order.organization,
    project: training.order.project,
    trainingNumber: training.order.trainingNumber,
    format,
    files,
    modelJson: {
      categories: training.order.categories,
      confThreshold: confThreshold(training.definition, training.order),
    },
    signal,
  })
  const models = { [format]: { id: id ?? '', hash, state: 'confirmed' as const } }
  await training.update(id === null ? { models } : { models, modelId: id })
  context.say(id === null ? `the Loop has ${format} already` : `uploaded ${format} as model ${id}`)
  await deps.announceUpload?.({ ...training.order, format }).catch(() => undefined) // the next scan of the converters finds the model too
  return id
}

function modelWithoutId({ organization, project, trainingNumber }: TrainingOrder): NoModelError {
  return new NoModelError(
    `The Loop has the model of training ${trainingNumber} of ${organization}/${project} already, but has never named its id, ` +
      'so nothing can be detected with it; the model itself is safe there.',
  )
}

/** SHA-256 over the names and contents of the files, streamed. */
async function hashFiles(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) {
    hash.update(`${file.split('/').at(-1)}\0`)
    await pipeline(createReadStream(file), async (source) => {
      for await (const chunk of source) hash.update(chunk)
    })
  }
  return hash.digest('hex')
}
