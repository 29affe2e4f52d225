import { access } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type DecoderFile, readDecoderFile, usualThreshold } from '../../decoders/decoder-file.js'
import type { InferenceCategory } from '../../findings/findings.js'
import type { OnnxBackend } from '../backend.js'
import { toClassCategories } from './class-categories.js'
import { type ModelFacts, readModelFacts } from './model-facts.js'

/** All that is known of a model before it is run; plain data, since threads get it. */
export type OnnxPlan = {
  /** In the order of the model's outputs. */
  readonly categories: readonly InferenceCategory[]
  readonly facts: Pick<ModelFacts, 'task' | 'isFinished'>
  readonly file: DecoderFile | undefined
  readonly threshold: number
  readonly wasServed: boolean
}

/**
 * Reads the model's metadata and decoder.json. Throws LF_MODEL_LAYOUT, LF_MODEL_CATEGORIES, LF_MODEL_UNREADABLE and
 * LF_DECODER_INVALID.
 */
export async function readOnnxPlan(
  backend: OnnxBackend,
): Promise<{ readonly plan: OnnxPlan; readonly warnings: readonly string[] }> {
  const { modelFile, thresholds = {}, wasServed = false } = backend
  const { names, ...facts } = await readModelFacts(modelFile)
  const file = await findDecoderFile(backend)
  const given = backend.categories.map(({ id, name, type }) => ({ id, name, type }))
  const { categories, warnings } = toClassCategories(names, given, { wasServed })
  const own = thresholdOfModel(thresholds.ofModel)
  const threshold = thresholds.wanted ?? file?.threshold ?? own.threshold ?? usualThreshold(file?.layout)
  return { plan: { categories, facts, file, threshold, wasServed }, warnings: [...warnings, ...own.warnings] }
}

function thresholdOfModel(given: unknown): { readonly threshold?: number; readonly warnings: readonly string[] } {
  if (given === undefined || given === null) return { warnings: [] }
  if (typeof given === 'number' && given >= 0 && given <= 1) return { threshold: given, warnings: [] }
  const shown = JSON.stringify(given).slice(0, 60)
  return {
    warnings: [`The conf_threshold of model.json is ${shown}, which is no number from 0 to 1, so it does not count.`],
  }
}

async function findDecoderFile({ modelFile, decoderFile }: OnnxBackend): Promise<DecoderFile | undefined> {
  if (decoderFile !== undefined) return await readDecoderFile(decoderFile)
  const beside = join(dirname(modelFile), 'decoder.json')
  const exists = await access(beside).then(
    () => true,
    () => false,
  )
  return exists ? await readDecoderFile(beside) : undefined
}
