import { randomUUID } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { unzipChecked } from '../../../base/archives/index.js'
import { messageOf } from '../../../base/index.js'
import type { LoopContext } from '../context.js'
import { RefusedError } from '../refused-error.js'
import type { Project } from '../store/project.js'
import type { ModelRecord } from '../store/records.js'
import { trainingByNumber } from '../trainings/trainings.js'
import { attachFiles, digestOfFiles, judgeModelFiles } from './model-files.js'
import { modelById, nextVersion } from './model-list.js'

export type UploadedFolder = { readonly folder: string; readonly names: readonly string[] }

/**
 * A trainer's files: they become the model of the training's newest metrics, the same for all formats. A format that this
 * model has stays as it is, and the trainer gets a conflict (409 with the model's id).
 */
export async function addTrainedModel(
  context: LoopContext,
  project: Project,
  number: number,
  format: string,
  upload: UploadedFolder,
) {
  const training = trainingByNumber(project, number)
  const point = training.points.at(-1)
  if (point === undefined) throw new RefusedError(400, `Training ${number} has no metrics yet, so it has no model.`)
  await judgeModelFiles(upload.names.map((name) => join(upload.folder, name)))
  const known = project.record.models.find(({ id }) => id === point.model_id)
  const key = `${project.name}#${number}/${format}`
  if (known?.formats[format] !== undefined) {
    const digest = await digestOfFiles(upload.names.map((name) => join(upload.folder, name)))
    await context.effects.record('training-model', [{ key, digest }])
    throw new RefusedError(409, `The model of training ${number} is here in format ${format}.`, { id: known.id })
  }
  const model = known ?? toTrainedModel(project, number)
  if (known === undefined) project.record.models.push(model)
  const digest = await attachFiles(project, model, format, upload.folder, upload.names)
  await context.effects.record('training-model', [{ key, digest }])
  return model
}

/** A converter's files: one more format of a model. */
export async function addConvertedModel(
  context: LoopContext,
  project: Project,
  id: string,
  format: string,
  upload: UploadedFolder,
) {
  const model = modelById(project, id)
  await judgeModelFiles(upload.names.map((name) => join(upload.folder, name)))
  const digest = await attachFiles(project, model, format, upload.folder, upload.names)
  await context.effects.record('converted-model', [{ key: `${project.name}/${id}/${format}`, digest }])
  return model
}

/** A person's zip: a new model with the next main version. */
export async function addZippedModel(context: LoopContext, project: Project, format: string, zip: string) {
  const folder = join(dirname(dirname(zip)), 'model') // beside the upload, gone with it
  await unzipChecked(zip, folder).catch((error: unknown) => {
    throw new RefusedError(422, `files: ${messageOf(error)}`)
  })
  const names = await readdir(folder)
  for (const name of names) {
    const isFile = (await stat(join(folder, name))).isFile()
    if (!isFile) throw new RefusedError(422, `files: the zip must be flat, ${JSON.stringify(name)} is a folder.`)
  }
  await judgeModelFiles(names.map((name) => join(folder, name)))
  const created = new Date(context.now()).toISOString()
  const model = newModel(nextVersion(project, 'major'), created, `uploaded at ${created}`)
  project.record.models.push(model)
  const digest = await attachFiles(project, model, format, folder, names)
  await context.effects.record('project-model', [{ key: `${project.name}/${model.id}/${format}`, digest }])
  return model
}

/** A model without files; also what the generator and the fixture project begin with. */
export function newModel(version: string, created: string, comment: string, id: string = randomUUID()): ModelRecord {
  const origin = { training_number: null, resolution: null, model_size: null }
  return { id, version, formats: {}, created, comment, ...origin }
}

function toTrainedModel(project: Project, number: number): ModelRecord {
  const training = trainingByNumber(project, number)
  const point = training.points.at(-1)
  const comment = `training ${number} by ${training.trainer_name}`
  const ordered = z.looseObject({
    hyperparameters: z.looseObject({ resolution: z.unknown() }).optional(),
    resolution: z.unknown(),
  })
  const order = ordered.safeParse(training.order).data
  const resolution =
    z
      .int()
      .min(1)
      .safeParse(order?.hyperparameters?.resolution ?? order?.resolution).data ?? null
  const variant = training.order.model_variant ?? training.order.id
  return {
    ...newModel(nextVersion(project, 'minor'), new Date().toISOString(), comment, point?.model_id),
    training_number: number,
    resolution,
    model_size: typeof variant === 'string' && variant !== '' ? variant : null,
  }
}
