import { mkdir, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { writeJsonFile } from '../../../base/index.js'
import type { TrainerLogic, Training } from './trainer-logic.js'

type Folders = { readonly model: string; readonly images: string; readonly output: string }

/** Hands the images of a folder to the hook and writes what it finds where the worker looks for it. */
export async function runDetect(logic: TrainerLogic, training: Training, folders: Folders): Promise<void> {
  if (typeof logic.detect !== 'function') throw new Error('The plug-in has no hook "detect".')
  const names = (await readdir(folders.images)).filter((name) => name.endsWith('.jpg')).sort()
  const images = names.map((name) => ({ id: basename(name, '.jpg'), path: join(folders.images, name) }))
  const found: unknown = await logic.detect(images, { folder: folders.model }, training)
  if (!Array.isArray(found)) throw new TypeError('The hook "detect" answered no list.')
  await mkdir(folders.output, { recursive: true })
  await writeJsonFile(join(folders.output, 'detections.json'), found)
}
