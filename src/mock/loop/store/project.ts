import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { readJsonFile, safePathSegment, writeJsonFile } from '../../../base/index.js'
import { type Detections, detectionsSchema } from '../../../loop/protocol/index.js'
import { openJsonLog } from './json-log.js'
import { type ImageRecord, imageRecordSchema, type ProjectRecord, projectRecordSchema } from './records.js'

/** One project: its record, images and detections in memory, and their files in a folder. */
export type Project = {
  readonly name: string
  readonly folder: string
  readonly record: ProjectRecord
  readonly images: ReadonlyMap<string, ImageRecord>
  /** Image id → model version → what that model found. */
  readonly detections: ReadonlyMap<string, ReadonlyMap<string, Detections>>
  /** Writes the record; to be called after every change of it. */
  save(): Promise<void>
  putImages(images: readonly ImageRecord[]): Promise<void>
  putDetections(entries: readonly StoredDetections[]): Promise<void>
  imagePath(imageId: string): string
  writeImage(imageId: string, jpeg: Buffer): Promise<void>
  modelFolder(modelId: string, format: string): string
  drained(): Promise<void>
}

const storedDetectionsSchema = z.object({ image_id: z.string(), version: z.string(), detections: detectionsSchema })
export type StoredDetections = z.infer<typeof storedDetectionsSchema>

/** Reads a project's folder; `initial` is written when there is no record yet. */
export async function openProject(folder: string, initial?: ProjectRecord): Promise<Project | undefined> {
  const recordPath = join(folder, 'project.json')
  const record = initial ?? (await readJsonFile(recordPath, projectRecordSchema))
  if (record === undefined) return undefined
  const images = new Map<string, ImageRecord>()
  const detections = new Map<string, Map<string, Detections>>()
  const imageLog = await openJsonLog(join(folder, 'images.jsonl'), imageRecordSchema, (image) => {
    images.set(image.id, image)
  })
  const keep = (entry: StoredDetections) => {
    const ofImage = detections.get(entry.image_id) ?? new Map<string, Detections>()
    detections.set(entry.image_id, ofImage.set(entry.version, entry.detections))
  }
  const detectionLog = await openJsonLog(join(folder, 'detections.jsonl'), storedDetectionsSchema, keep)
  const save = createSaver(() => writeJsonFile(recordPath, record))
  const imagePath = (imageId: string) => join(folder, 'images', `${safePathSegment(imageId)}.jpg`)
  if (initial !== undefined) await save()
  return {
    name: `${record.organization}/${record.project}`,
    folder,
    record,
    images,
    detections,
    save,
    imagePath,
    putImages: async (added) => {
      await imageLog.append(added)
      for (const image of added) images.set(image.id, image)
    },
    putDetections: async (entries) => {
      await detectionLog.append(entries)
      for (const entry of entries) keep(entry)
    },
    writeImage: async (imageId, jpeg) => {
      const path = imagePath(imageId)
      await writeFile(`${path}.part`, jpeg)
      await rename(`${path}.part`, path)
    },
    modelFolder: (modelId, format) => join(folder, 'models', safePathSegment(modelId), safePathSegment(format)),
    drained: async () => {
      await Promise.all([imageLog.drained(), detectionLog.drained(), save()])
    },
  }
}

/** Makes a save that never runs twice at the same time: calls during a run share the one that follows it. */
function createSaver(write: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const run = (): Promise<void> => {
    running = write().finally(() => {
      running = undefined
    })
    return running
  }
  return () => {
    if (running === undefined) return run()
    next ??= running
      .catch(() => undefined) // the caller of that run gets the error
      .then(() => {
        next = undefined
        return run()
      })
    return next
  }
}
