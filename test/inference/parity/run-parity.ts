import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { silentLogger } from '../../../src/base/logger/logger.js'
import type { Findings } from '../../../src/inference/findings/findings.js'
import { createInferencePool } from '../../../src/inference/pool/pool.js'
import { compareBoxes, type Limits, type Pair, type ParityBox, type Single } from './compare-boxes.js'

const folder = new URL('../../fixtures/parity/', import.meta.url)

const referenceSchema = z.object({
  versions: z.record(z.string(), z.string()),
  threshold: z.number(),
  nms_iou: z.number(),
  images: z.array(
    z.object({
      name: z.string(),
      width: z.int(),
      height: z.int(),
      boxes: z.array(
        z.object({
          category: z.string(),
          confidence: z.number(),
          edges: z.tuple([z.number(), z.number(), z.number(), z.number()]),
        }),
      ),
    }),
  ),
})

/** How the images of one set compare; the set is what their names begin with. */
export type ParitySet = {
  readonly name: string
  readonly images: number
  readonly pairs: readonly Pair[]
  readonly singles: readonly Single[]
}

/** Detects in the images of the fixture and compares with what Ultralytics has found in them. */
export async function runParity(): Promise<{ versions: Readonly<Record<string, string>>; sets: ParitySet[] }> {
  const reference = referenceSchema.parse(JSON.parse(await readFile(new URL('reference.json', folder), 'utf8')))
  const limits: Limits = { threshold: reference.threshold, nmsIou: reference.nms_iou }
  const categories = ['circle', 'square', 'triangle', 'star'].map((name) => ({ id: name, name, type: 'box' }))
  const modelFile = fileURLToPath(new URL('model.onnx', folder))
  const pool = await createInferencePool(
    { backend: { kind: 'onnx', modelFile, categories }, threads: 2 },
    { log: silentLogger() },
  )
  try {
    const sets = new Map<string, ParitySet>()
    for (const { name, boxes } of reference.images) {
      const { detections } = await pool.detect({ path: fileURLToPath(new URL(`images/${name}`, folder)) })
      const theirs = boxes.map(({ category, confidence, edges: [left, top, right, bottom] }) => ({
        category,
        confidence,
        box: { left, top, right, bottom },
      }))
      const { pairs, singles } = compareBoxes(toParityBoxes(detections), theirs, limits)
      const key = name.replace(/-[^-]*$/, '')
      const set = sets.get(key) ?? { name: key, images: 0, pairs: [], singles: [] }
      sets.set(key, {
        name: key,
        images: set.images + 1,
        pairs: [...set.pairs, ...pairs],
        singles: [...set.singles, ...singles],
      })
    }
    return { versions: reference.versions, sets: [...sets.values()] }
  } finally {
    await pool.close()
  }
}

function toParityBoxes({ box_detections }: Findings): ParityBox[] {
  return box_detections.map(({ category_name: category, confidence, x, y, width, height }) => ({
    category,
    confidence,
    box: { left: x, top: y, right: x + width, bottom: y + height },
  }))
}
