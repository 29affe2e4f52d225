import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateProject } from '../../src/mock/loop/index.js'
import { startNodeScript } from '../../test/helpers/node-script.js'

export type StubLoop = {
  /** Host and port. */
  readonly host: string
  readonly end: () => Promise<void>
}

/** Starts the stub of a Loop in a process of its own. */
export async function startStubLoop(options: {
  readonly images: readonly string[]
  readonly zip?: string
  /** How long it thinks about an upload of images. */
  readonly uploadMs?: number
}): Promise<StubLoop> {
  const script = new URL('../programs/stub-loop', import.meta.url)
  const started = await startNodeScript(script, [JSON.stringify(options)])
  return { host: started.firstLine, end: () => started.kill('SIGTERM') }
}

/** Draws so many different JPEGs of 640×480, about 60 KB each, into the folder. */
export async function drawImages(folder: string, count: number, seed: number): Promise<string[]> {
  await mkdir(folder, { recursive: true })
  const { images } = generateProject({ project_name: 'bench', complete: count, box_categories: 1 }, seed)
  const paths: string[] = []
  for await (const { id, jpeg } of images) {
    const path = join(folder, `${id}.jpg`)
    await writeFile(path, jpeg)
    paths.push(path)
  }
  return paths
}
