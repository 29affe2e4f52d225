import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { hasCode, removeTree } from '../../../base/index.js'
import { zipStream } from '../../../base/zip/index.js'
import { toModelJsonText, uploadedModelJsonSchema } from '../../../loop/protocol/index.js'
import { checked } from '../judge/checks.js'
import { RefusedError } from '../refused-error.js'
import type { Project } from '../store/project.js'
import type { ModelRecord } from '../store/records.js'

const MODEL_JSON = 'model.json'

/** Refuses a set of files that cannot be a model: none, hidden or nested names, two of one name, a broken model.json. */
export async function judgeModelFiles(paths: readonly string[]): Promise<void> {
  const names = paths.map((path) => basename(path))
  if (names.length === 0) throw new RefusedError(422, 'files: at least one file must be uploaded.')
  const hidden = names.find((name) => name.startsWith('.'))
  if (hidden !== undefined) throw new RefusedError(422, `files: ${JSON.stringify(hidden)} begins with a dot.`)
  const modelJson = paths.find((path) => basename(path) === MODEL_JSON)
  if (modelJson === undefined) return
  checked(uploadedModelJsonSchema, parseJson(await readFile(modelJson, 'utf8')), MODEL_JSON)
}

/** Moves the files of a folder in as the model's files of a format; what was there is replaced. */
export async function attachFiles(
  project: Project,
  model: ModelRecord,
  format: string,
  folder: string,
  names: readonly string[],
) {
  const target = project.modelFolder(model.id, format)
  await mkdir(dirname(target), { recursive: true })
  await removeTree(target)
  await rename(folder, target)
  const digest = await digestOfFiles(names.map((name) => join(target, name)))
  model.formats[format] = { files: [...names].sort(), digest, created: new Date().toISOString() }
  await project.save()
  return digest
}

/** The flat zip of a model: its files and the completed `model.json`. */
export async function modelZip(project: Project, model: ModelRecord, format: string, host: string): Promise<Readable> {
  const stored = model.formats[format]
  if (stored === undefined) throw new RefusedError(404, `Model ${model.id} has no format ${format}.`)
  const folder = project.modelFolder(model.id, format)
  const modelJson = await completedModelJson(project, model, format, host)
  const files = stored.files.filter((name) => name !== MODEL_JSON).map((name) => ({ name, path: join(folder, name) }))
  return zipStream([...files, { name: MODEL_JSON, data: toModelJsonText(modelJson) }], { compress: false })
}

/** What the uploader wrote, with the Loop's own facts over it. */
async function completedModelJson(project: Project, model: ModelRecord, format: string, host: string) {
  const uploaded = await readUploadedModelJson(join(project.modelFolder(model.id, format), MODEL_JSON))
  const { organization, project: name, categories } = project.record
  const resolution = uploaded.resolution ?? model.resolution
  const modelSize = uploaded.model_size ?? model.model_size
  return {
    ...uploaded,
    host,
    organization,
    project: name,
    version: model.version,
    id: model.id,
    format,
    categories: uploaded.categories ?? categories,
    resolution: Number.isInteger(resolution) ? resolution : null,
    model_size: typeof modelSize === 'string' ? modelSize : null,
  }
}

async function readUploadedModelJson(path: string): Promise<Record<string, unknown>> {
  try {
    const value = parseJson(await readFile(path, 'utf8'))
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return {}
    throw error
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new RefusedError(422, 'model.json: it is not JSON.')
  }
}

/** SHA-256 over names and contents. */
export async function digestOfFiles(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const path of [...paths].sort()) {
    hash.update(`${basename(path)}\0`)
    for await (const chunk of createReadStream(path)) hash.update(chunk)
  }
  return hash.digest('hex')
}
