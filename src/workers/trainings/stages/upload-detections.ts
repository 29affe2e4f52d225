import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { failureClassOf, readJsonFile, writeJsonFile } from '../../../base/index.js'
import {
  type Detections,
  detectionsSchema,
  type ImageData,
  maxDetectionsPerPost,
  maxImagesPerRequest,
} from '../../../loop/protocol/index.js'
import { NoModelError } from '../errors.js'
import type { Stage, StageContext, StageDeps } from './stage.js'

/** The position of the upload: file and offset in one file, so that a crash repeats at most one batch and skips none. */
const positionSchema = z.object({ file: z.int().min(0), offset: z.int().min(0) })
type Position = z.infer<typeof positionSchema>

/** Name of the fact that some detections may be at the Loop already. */
const BEGUN = 'detections-begun'

/**
 * Sends the detections in batches, in order; the position is saved after each answer. If an earlier attempt may have sent a
 * batch and lost the answer, the Loop is asked which images it has, so that every detection is sent once.
 */
export const uploadDetections: Stage = {
  name: 'upload-detections',
  kind: 'upload',
  loopStates: { during: 'detection_uploading', after: null },
  reportsProgress: false,
  errorKey: 'upload_detections',
  onStop: 'optional',
  servesUpload: false,
  results: 'at-loop',
  run,
}

async function run(context: StageContext, deps: StageDeps) {
  const { training } = context
  const { detections: folder } = training.paths
  const files = await detectionFiles(folder)
  const most = maxDetectionsPerPost[deps.dialect]
  const perPost = Math.min(most, deps.detectionsPerPost ?? most)
  if (files.length === 0) throw new NoModelError('The detections of this training are not on disk any more.')
  const positionFile = join(folder, 'position.json')
  const written = await readJsonFile(positionFile, positionSchema)
  let position = written ?? { file: 0, offset: 0 }
  let isUncertain = (await training.record()).facts[BEGUN] === true
  await training.update({ facts: { [BEGUN]: true } })
  let sent = 0
  while (position.file < files.length) {
    const entries = await readEntries(folder, position.file)
    const batch = entries.slice(position.offset, position.offset + perPost)
    const missing = isUncertain ? await missingAtLoop(batch, context, deps) : batch
    if (missing.length > 0) await send(missing, context, deps)
    // With a saved position only its first batch is uncertain; without one another host may have sent any batch.
    if (written !== undefined) isUncertain = false
    sent += missing.length
    position = next(position, batch.length, entries.length)
    await writeJsonFile(positionFile, position)
    context.progress({ progress: position.file / files.length })
  }
  context.say(`detections of ${sent} images uploaded`)
  return { images: sent }
}

async function detectionFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []) // no folder: the detection ran on another host
  return names.filter((name) => /^detections_\d+\.json$/.test(name))
}

async function readEntries(folder: string, file: number) {
  const entries = await readJsonFile(join(folder, `detections_${file}.json`), z.array(detectionsSchema))
  if (entries === undefined) throw new NoModelError(`File detections_${file}.json is missing.`)
  return entries
}

/** The entries whose image has no detections of this model at the Loop yet; all if the Loop cannot say. */
async function missingAtLoop(batch: readonly Detections[], context: StageContext, deps: StageDeps) {
  const { organization, project } = context.training.order
  const { modelVersion } = await context.training.record()
  if (modelVersion === null) return batch
  const there = new Set<string>()
  try {
    for (let start = 0; start < batch.length; start += maxImagesPerRequest) {
      const ids = batch.slice(start, start + maxImagesPerRequest).flatMap(({ image_id }) => image_id ?? [])
      const options = { modelVersion, signal: context.signal }
      const { images } = await deps.rest.imageDataChunk(organization, project, ids, options)
      for (const image of images) if (hasDetectionsOf(modelVersion, image)) there.add(image.id)
    }
  } catch (error) {
    if (context.signal.aborted || failureClassOf(error) === 'transient') throw error
    context.log.warn({ err: error }, 'detections at the Loop cannot be read; sending all')
    return batch
  }
  return batch.filter(({ image_id }) => image_id == null || !there.has(image_id))
}

function hasDetectionsOf(version: string, image: ImageData): boolean {
  const { box_detections, point_detections, segmentation_detections, classification_detections } = image
  const all = [box_detections, point_detections, segmentation_detections, classification_detections].flat()
  return all.some((one) => typeof one === 'object' && one !== null && 'model_name' in one && one.model_name === version)
}

async function send(batch: readonly Detections[], context: StageContext, deps: StageDeps): Promise<void> {
  const { training, signal } = context
  signal.throwIfAborted()
  await training.checkFence()
  const { organization, project } = training.order
  await deps.rest.postDetections(organization, project, batch, { signal })
}

function next(position: Position, sent: number, inFile: number): Position {
  const offset = position.offset + sent
  return offset < inFile ? { file: position.file, offset } : { file: position.file + 1, offset: 0 }
}
