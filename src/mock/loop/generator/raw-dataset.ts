import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { annotationsOf } from './annotations.js'
import type { ShapesConfig } from './config.js'
import { generateProject } from './project.js'

/**
 * Writes the complete images of a generated project as a trainer's `raw` dataset (`dataset/dataset.json` and
 * `dataset/images/`), to try a trainer without a Loop.
 */
export async function dumpRawDataset(folder: string, config: ShapesConfig, seed: number): Promise<void> {
  const dataset = join(folder, 'dataset')
  await mkdir(join(dataset, 'images'), { recursive: true })
  const project = generateProject({ ...config, inbox: 0, annotate: 0, review: 0 }, seed)
  const images: unknown[] = []
  for await (const { id, set, width, height, jpeg, truth } of project.images) {
    const file = `images/${id}.jpg`
    await writeFile(join(dataset, file), jpeg)
    images.push({ id, file, set, width, height, ...annotationsOf(id, truth) })
  }
  await writeFile(join(dataset, 'dataset.json'), JSON.stringify({ categories: project.categories, images }, null, 1))
}
