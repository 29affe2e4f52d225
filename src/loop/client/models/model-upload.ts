import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { hasCode } from '../../../base/index.js'
import {
  type Category,
  isUuid,
  modelUploadAnswerSchema,
  paths,
  toModelJsonText,
  toUploadedModelJson,
} from '../../protocol/index.js'
import { LoopRequestError, ModelFilesError } from '../session/errors.js'
import { type MultipartPart, multipartFiles } from '../session/multipart.js'
import { parseAnswer } from '../session/rest.js'
import type { LoopRequest, LoopSession } from '../session/session.js'

type ModelUpload = {
  readonly organization: string
  readonly project: string
  readonly format: string
  /** Absolute paths; each is uploaded under its file name. */
  readonly files: readonly string[]
  readonly modelJson: { readonly categories: readonly Category[] }
  readonly signal: AbortSignal
}
export type TrainedModelUpload = Omit<ModelUpload, 'modelJson'> & {
  readonly trainingNumber: number
  readonly modelJson: {
    readonly categories: readonly Category[]
    /** The threshold for detectors. */
    readonly confThreshold?: number | undefined
  }
}
/** Its `modelJson` is that of the source model: classes, resolution and the rest are the same for the converted one. */
export type ConvertedModelUpload = ModelUpload & { readonly modelId: string }

// The Loop packs the files before it answers.
const ANSWER_MS = 600_000

/**
 * Sends the files of a training's newest model in one format and returns the id of the model. A 409 means that the Loop has
 * them already, which counts as success; the id is null if that answer does not name it.
 */
export async function uploadTrained(upload: TrainedModelUpload, session: LoopSession): Promise<{ id: string | null }> {
  const { organization, project, trainingNumber, format } = upload
  const path = paths.trainingModelFile(organization, project, trainingNumber, format)
  const request = await toRequest(
    path,
    upload,
    toUploadedModelJson(upload.modelJson.categories, upload.modelJson.confThreshold),
  )
  try {
    return { id: parseAnswer(request, await session.request(request), modelUploadAnswerSchema).id }
  } catch (error) {
    if (!(error instanceof LoopRequestError) || error.details.status !== 409) throw error
    return { id: idOfModelAlreadyThere(error.details.detail) }
  }
}

function idOfModelAlreadyThere(detail: string): string | null {
  try {
    const { id } = modelUploadAnswerSchema.parse(JSON.parse(detail))
    return isUuid(id) ? id : null
  } catch {
    return null // before 0.27.0 the Loop answers with a sentence
  }
}

/** Adds a format to a model that the Loop has; its id stays. */
export async function uploadConverted(upload: ConvertedModelUpload, session: LoopSession): Promise<{ id: string }> {
  const { organization, project, modelId, format } = upload
  const path = paths.modelFile(organization, project, modelId, format)
  await session.request(await toRequest(path, upload, { ...upload.modelJson, format }))
  return { id: modelId }
}

async function toRequest(
  path: string,
  { files, signal }: Pick<ModelUpload, 'files' | 'signal'>,
  modelJson: object,
): Promise<LoopRequest> {
  await assertUploadable(files)
  const parts: MultipartPart[] = files.map((file) => ({ path: file }))
  parts.push({ name: 'model.json', data: toModelJsonText(modelJson), contentType: 'application/json' })
  return { method: 'PUT', path, multipart: multipartFiles(parts), timeoutMs: ANSWER_MS, signal }
}

async function assertUploadable(files: readonly string[]): Promise<void> {
  if (files.length === 0) throw new ModelFilesError('The model has no files; name at least one file per format.')
  const names = files.map((file) => basename(file))
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new ModelFilesError(`Two files of the model are named "${twice}"; the Loop keeps one.`)
  const odd = names.find((name) => /["\\\r\n]/.test(name))
  if (odd !== undefined) throw new ModelFilesError(`The file name ${JSON.stringify(odd)} cannot be sent; rename it.`)
  if (names.includes('model.json')) {
    throw new ModelFilesError('A model.json is among the files of the model; it is generated, so leave it out.')
  }
  for (const file of files) await assertFile(file)
}

async function assertFile(file: string): Promise<void> {
  const info = await stat(file).catch((cause: unknown) => {
    if (!hasCode(cause, 'ENOENT', 'ENOTDIR')) throw cause
    throw new ModelFilesError(`The model's file ${file} does not exist.`, { details: { file }, cause })
  })
  if (!info.isFile()) throw new ModelFilesError(`The model's file ${file} is not a plain file.`, { details: { file } })
}
