import type { OwnedImage } from '../../images/index.js'
import { InferenceError, type InsideNative } from '../basics/index.js'
import { decode } from '../decoders/decode.js'
import { type DecoderPlan, toPlan } from '../decoders/decoder-file.js'
import type { ModelOutput } from '../decoders/model-output.js'
import { isWithoutNumbers, noNumbers } from '../decoders/numbers.js'
import { type Findings, toFindings } from '../findings/findings.js'
import { fillTensor } from '../image/image-tensor.js'
import type { Fit, Placement } from '../image/placement.js'
import type { InputSize } from './model/grid-cells.js'
import { chooseLayout } from './model/layout-choice.js'
import { type OnnxModel, openOnnxModel } from './onnx-model.js'
import type { ImageAnswer } from './runner.js'
import { toThreadError } from './thread-error.js'
import type { OnnxSettings, ThreadBackend } from './thread-messages.js'

/** Most images of one run; more only need more memory. */
const MAX_IMAGES = 32

/** Opens the model and runs it, so that one that does not fit is found out now. */
export async function openOnnxBackend(
  settings: OnnxSettings,
  { native, onLoaded }: { readonly native: InsideNative; readonly onLoaded: () => void },
): Promise<ThreadBackend> {
  const { modelFile, resolution, plan } = settings
  const model = await native(() => openOnnxModel({ modelFile, resolution, input: plan.file?.input }))
  onLoaded()
  const { reading, warnings } = await firstReading(model, settings, native)
  const maxImages = model.hasBatchAxis && (await answersTwo(model, native)) ? MAX_IMAGES : 1
  const work = new OnnxWork(model, settings, { native, reading })
  return { maxImages, wantsBatches: false, warnings, detect: (images) => work.detect(images), close: async () => {} }
}

/**
 * How the model's answer to grey is read, or to a pattern where its answer to grey holds no numbers: a model may divide by how
 * much the pixels differ.
 */
async function firstReading(
  model: OnnxModel,
  settings: OnnxSettings,
  native: InsideNative,
): Promise<ReturnType<typeof readingOf>> {
  const read = async (fill: (slot: Float32Array) => void) => {
    fill(model.slot(0))
    const [output] = await native(() => model.run(0, 1))
    if (output === undefined) throw new InferenceError('LF_MODEL_OUTPUT', `${settings.modelFile} has no output.`)
    if (isWithoutNumbers(output)) throw noNumbers(output)
    const found = readingOf(output, model, settings)
    decode(output, found.reading.plan, found.reading)
    return found
  }
  try {
    return await read((slot) => slot.fill(0.5))
  } catch (error) {
    if (!(error instanceof InferenceError) || error.code !== 'LF_MODEL_OUTPUT') throw error
    return await read(fillWithPattern).catch(() => {
      throw error
    })
  }
}

function fillWithPattern(slot: Float32Array): void {
  for (let index = 0; index < slot.length; index++) slot[index] = (index % 251) / 250
}

/** How the output is read, and how images are brought to the input. */
type Reading = {
  readonly plan: DecoderPlan
  readonly fit: Fit
  readonly categoryCount: number
  readonly input: InputSize
}

function readingOf(
  output: ModelOutput,
  { width, height }: OnnxModel,
  { plan: { file, facts, threshold, wasServed }, categories }: OnnxSettings,
): { readonly reading: Reading; readonly warnings: readonly string[] } {
  const input = { width, height }
  const question = { output, facts, named: file?.layout, classCount: categories.length, input, wasServed }
  const { layout, warnings } = chooseLayout(question)
  const plan = toPlan(layout, file, threshold)
  return { reading: { plan, fit: fitOf(layout), categoryCount: categories.length, input }, warnings }
}

function fitOf(layout: DecoderPlan['layout']): Fit {
  if (layout === 'grid') return 'stretch'
  return layout === 'classification' ? 'crop' : 'letterbox'
}

// A free batch axis may be a promise that the inner layers do not keep.
async function answersTwo(model: OnnxModel, native: InsideNative): Promise<boolean> {
  model.slot(1).fill(0.5)
  return await native(() => model.run(0, 2)).then(
    (outputs) => outputs.length === 2,
    () => false,
  )
}

type OnnxWorkDeps = { readonly native: InsideNative; readonly reading: Reading }

class OnnxWork {
  readonly #model: OnnxModel
  readonly #settings: OnnxSettings
  readonly #native: InsideNative
  readonly #reading: Reading

  constructor(model: OnnxModel, settings: OnnxSettings, { native, reading }: OnnxWorkDeps) {
    this.#model = model
    this.#settings = settings
    this.#native = native
    this.#reading = reading
  }

  async detect(images: readonly OwnedImage[]): Promise<ImageAnswer[]> {
    if (images.length === 0) return []
    this.#model.slot(images.length - 1) // makes room for all before any is filled
    const places = await Promise.allSettled(images.map((image, index) => this.#fill(image, index)))
    const outputs = places.some(({ status }) => status === 'fulfilled') ? await this.#run(images.length) : []
    return places.map((place, index) => {
      if (place.status === 'rejected') return { ok: false, error: toThreadError(place.reason) }
      return answer(() => this.#read(outputs[index], place.value))
    })
  }

  async #fill(image: OwnedImage, index: number): Promise<Placement> {
    const { width, height } = this.#model
    const { fit } = this.#reading
    const { maxPixels } = this.#settings
    return await fillTensor(image, this.#model.slot(index), { width, height, fit, maxPixels })
  }

  /** All in one call, or one by one if that fails; what fails alone is an answer. */
  async #run(count: number): Promise<(() => ModelOutput)[]> {
    try {
      return (await this.#native(() => this.#model.run(0, count))).map((output) => () => output)
    } catch (error) {
      if (count === 1) return [rethrow(error)]
    }
    const outputs: (() => ModelOutput)[] = []
    for (let index = 0; index < count; index++) {
      const alone = await this.#native(() => this.#model.run(index, 1)).then(
        ([output]) => (output === undefined ? rethrow(new Error('no output')) : () => output),
        rethrow,
      )
      outputs.push(alone)
    }
    return outputs
  }

  #read(output: (() => ModelOutput) | undefined, place: Placement): Findings {
    const { categories, confidence } = this.#settings
    const { plan } = this.#reading
    if (output === undefined) throw new Error('the model gave fewer outputs than images')
    const decoded = decode(output(), plan, this.#reading)
    const pointCategories = 'point_categories' in plan ? plan.point_categories : undefined
    return toFindings(decoded, place, { categories, pointCategories, confidence })
  }
}

function rethrow(error: unknown): () => never {
  return () => {
    throw error
  }
}

function answer(read: () => Findings): ImageAnswer {
  try {
    return { ok: true, findings: read() }
  } catch (error) {
    return { ok: false, error: toThreadError(error) }
  }
}
