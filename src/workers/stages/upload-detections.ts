import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { readJsonFile, writeJsonFile } from '../../base/files.js'
import { detectionsSchema, maxDetectionsPerPost } from '../../loop/protocol/index.js'
import { NoModelError } from '../errors.js'
import type { Stage, StageContext, StageDeps } from './stage.js'

/** How far the upload is: file and offset together, so that a crash never repeats or skips more than one batch. */
const positionSchema = z.object({ file: z.int().min(0), offset: z.int().min(0) })
type Position = z.infer<typeof positionSchema>

/** Sends the detections in batches, in order; the position is written down after each answer. */
export const uploadDetections: Stage = async (context, deps) => {
  const { detections: folder } = context.training.paths
  const files = await detectionFiles(folder)
  if (files.length === 0) throw new NoModelError('The detections of this training are not on disk any more.')
  const positionFile = join(folder, 'position.json')
  let position = (await readJsonFile(positionFile, positionSchema)) ?? { file: 0, offset: 0 }
  let sent = 0
  while (position.file < files.length) {
    const entries = await readEntries(folder, position.file)
    const batch = entries.slice(position.offset, position.offset + maxDetectionsPerPost[deps.dialect])
    if (batch.length > 0) await send(batch, context, deps)
    sent += batch.length
    position = next(position, batch.length, entries.length)
    await writeJsonFile(positionFile, position)
    context.progress({ progress: position.file / files.length })
  }
  context.say(`detections of ${sent} images uploaded`)
  return { images: sent }
}

async function detectionFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []) // no folder: nothing was detected on this host
  return names.filter((name) => /^detections_\d+\.json$/.test(name))
}

async function readEntries(folder: string, file: number) {
  const entries = await readJsonFile(join(folder, `detections_${file}.json`), z.array(detectionsSchema))
  if (entries === undefined) throw new NoModelError(`File detections_${file}.json is missing.`)
  return entries
}

async function send(batch: z.infer<typeof detectionsSchema>[], context: StageContext, deps: StageDeps): Promise<void> {
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
