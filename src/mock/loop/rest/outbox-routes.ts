import { createHash, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { removeTree } from '../../../base/index.js'
import { type ImageSize, readFileSize } from '../../../images/index.js'
import { isWholeJpeg } from '../../../images/pixels/index.js'
import { type UploadedImage, uploadedImageSchema } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { checked } from '../judge/checks.js'
import { RefusedError } from '../refused-error.js'
import type { Project } from '../store/project.js'
import { type ImageRecord, type LocalImageState, localImageStates } from '../store/records.js'
import { splitByVersion } from '../store/split-detections.js'
import { projectOf } from './route-params.js'
import { type ReceivedPart, receiveParts } from './upload.js'

type NewImage = {
  readonly id: string
  readonly jpeg: Buffer
  readonly record: ImageRecord
  readonly metadata: UploadedImage
}

/** Images from the outboxes of detectors, without login: all of a request are taken, or none. */
export function registerOutboxRoutes(app: FastifyInstance, context: LoopContext): void {
  app.post('/api/:o/projects/:p/images', { config: { open: true } }, async (request) => {
    const temporary = await context.store.temporaryFolder()
    try {
      const parts = await receiveParts(request, join(temporary, 'parts'), (_name, index) => `${index}`)
      const project = projectOf(context, request)
      const pairs = pairParts(parts)
      if (pairs.length === 0) throw new RefusedError(422, 'files: at least one JSON and one JPEG part must be sent.')
      const images: NewImage[] = []
      for (const { json, image } of pairs) images.push(await readImage(context, json.path, image.path))
      await keep(context, project, images)
      context.changed()
      return { success: true, image_ids: images.map(({ id }) => id) }
    } finally {
      await removeTree(temporary)
    }
  })
}

async function readImage(context: LoopContext, jsonPath: string, imagePath: string): Promise<NewImage> {
  const metadata = checked(uploadedImageSchema.loose(), parseJson(await readFile(jsonPath, 'utf8')), 'image.json')
  const { width, height } = await sizeOfJpeg(imagePath)
  const id = randomUUID()
  const record: ImageRecord = {
    id,
    created: metadata.created ?? metadata.date ?? new Date(context.now()).toISOString(),
    state: stateOf(metadata),
    set: Number.parseInt(id.slice(0, 2), 16) < 51 ? 'test' : 'train', // one in five
    width,
    height,
    source: metadata.source,
    tags: metadata.tags,
    truth: null,
    annotated: false,
    segmentations: [],
    metadata,
  }
  return { id, jpeg: await readFile(imagePath), record, metadata }
}

function stateOf({ state }: UploadedImage): LocalImageState {
  const known = localImageStates.find((one) => one === (state ?? 'inbox'))
  if (known !== undefined) return known
  throw new RefusedError(
    422,
    `image.json: state must be one of ${localImageStates.join(', ')}, got ${JSON.stringify(state)}.`,
  )
}

async function keep(context: LoopContext, project: Project, images: readonly NewImage[]): Promise<void> {
  for (const { id, jpeg } of images) await project.writeImage(id, jpeg)
  // The images last: nobody sees one without what was found in it.
  const found = images.flatMap(({ id, metadata }) => splitByVersion(id, metadata, project.record.categories, ''))
  await project.putDetections(found.filter(({ version }) => version !== ''))
  await project.putImages(images.map(({ record }) => record))
  const effects = images.map(({ id, jpeg }) => ({
    key: `${project.name}/${id}`,
    digest: createHash('sha256').update(jpeg).digest('hex'),
  }))
  await context.effects.record('image-upload', effects)
}

/** As in a trainer's download. */
const MAX_PIXELS = 178_956_970

/** Size of a JPEG as it is seen; one that every part of the fleet can read, else a refusal (422). */
async function sizeOfJpeg(path: string): Promise<ImageSize> {
  if (!(await isWholeJpeg(await readFile(path), { maxPixels: MAX_PIXELS }))) {
    throw new RefusedError(422, 'files: an image is no readable JPEG.')
  }
  return await readFileSize(path)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new RefusedError(422, 'image.json: it is not JSON.')
  }
}

type ImagePair = { readonly json: ReceivedPart; readonly image: ReceivedPart }

/** Pairs the JSON and image parts of an upload: by the stem of their names if that is unique, else by their order. */
function pairParts(parts: readonly ReceivedPart[]): ImagePair[] {
  const jsons = parts.filter(isJson)
  const images = parts.filter((part) => !isJson(part))
  if (jsons.length !== images.length) {
    throw new RefusedError(422, `files: ${jsons.length} JSON parts and ${images.length} image parts do not pair.`)
  }
  const byStem = new Map(images.map((image) => [stemOf(image), image]))
  const stems = new Set(jsons.map(stemOf))
  const isUnique = byStem.size === images.length && stems.size === jsons.length
  return jsons.map((json, index) => {
    const image = (isUnique ? byStem.get(stemOf(json)) : undefined) ?? images[index]
    if (image === undefined) throw new RefusedError(422, `files: ${json.filename} has no image.`)
    return { json, image }
  })
}

function isJson({ filename, mimetype }: ReceivedPart): boolean {
  return filename.toLowerCase().endsWith('.json') || mimetype === 'application/json'
}

function stemOf({ filename }: ReceivedPart): string {
  return filename.replace(/\.[^.]*$/, '')
}
