import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BuildPool } from '../../../src/detector/models/model-builder.js'
import type { ModelTarget } from '../../../src/detector/models/target.js'
import { emptyFindings, type Findings } from '../../../src/inference/findings/findings.js'
import type { InferencePool } from '../../../src/inference/pool/pool.js'

export const FORMAT = 'mocked'

/** Ids are made from versions, so that a version names a model in these tests. */
export function target(version: string, id = `id-of-${version}`): ModelTarget {
  return { id, version }
}

/** The model runtime's double; a request to a closed one fails. */
export class PoolDouble implements InferencePool {
  static readonly open = new Set<PoolDouble>()
  readonly threadIds = []
  readonly inFlight = 0
  readonly text: string
  isClosed = false

  constructor(text: string) {
    this.text = text
    PoolDouble.open.add(this)
  }

  async detect(): Promise<{ readonly detections: Findings; readonly threadId: number }> {
    if (this.isClosed) throw new Error(`the pool of ${this.text} is closed`)
    return { detections: emptyFindings(), threadId: 1 }
  }

  async detectBatch(
    images: readonly unknown[],
  ): Promise<{ readonly detections: Findings; readonly threadId: number }[]> {
    return await Promise.all(images.map(() => this.detect()))
  }

  async close(): Promise<void> {
    this.isClosed = true
    PoolDouble.open.delete(this)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** A model is bad when its model.txt says so. */
export const buildDouble: BuildPool = async (folder) => {
  const text = await readFile(join(folder, 'model.txt'), 'utf8')
  if (text.includes('does not load')) throw new Error('the runtime does not like it')
  return new PoolDouble(text)
}
