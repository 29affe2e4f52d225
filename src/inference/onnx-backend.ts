import { decode } from './decoders/decode.js'
import type { ModelOutput } from './decoders/model-output.js'
import { type Findings, toFindings } from './findings.js'
import { freeImages } from './free-images.js'
import type { OwnedImage } from './image-source.js'
import { fillTensor } from './image-tensor.js'
import type { LaneAnswer } from './lane.js'
import type { InsideNative } from './native-guard.js'
import { type OnnxModel, openOnnxModel } from './onnx-model.js'
import type { Placement } from './placement.js'
import type { ThreadBackend } from './thread-backend.js'
import { toThreadError } from './thread-error.js'
import type { OnnxSettings } from './thread-messages.js'

/** Most images of one run; more only need more memory. */
const MAX_IMAGES = 32

/** Opens the model and runs it once on grey, so that one that does not fit is found out now. */
export async function openOnnxBackend(settings: OnnxSettings, native: InsideNative): Promise<ThreadBackend> {
  const model = await native(() => openOnnxModel(settings))
  model.slot(0).fill(0.5)
  for (const output of await native(() => model.run(0, 1))) decode(output, settings.plan, factsOf(model, settings))
  const maxImages = model.hasBatchAxis && (await answersTwo(model, native)) ? MAX_IMAGES : 1
  const work = new OnnxWork(model, settings, native)
  return { maxImages, wantsBatches: false, detect: (images) => work.detect(images), close: async () => {} }
}

function factsOf({ width, height }: OnnxModel, { categories }: OnnxSettings) {
  return { categoryCount: categories.length, input: { width, height } }
}

// A free batch axis may be a promise that the inner layers do not keep.
async function answersTwo(model: OnnxModel, native: InsideNative): Promise<boolean> {
  model.slot(1).fill(0.5)
  return await native(() => model.run(0, 2)).then(
    (outputs) => outputs.length === 2,
    () => false,
  )
}

class OnnxWork {
  readonly #model: OnnxModel
  readonly #settings: OnnxSettings
  readonly #native: InsideNative

  constructor(model: OnnxModel, settings: OnnxSettings, native: InsideNative) {
    this.#model = model
    this.#settings = settings
    this.#native = native
  }

  async detect(images: readonly OwnedImage[]): Promise<LaneAnswer[]> {
    if (images.length === 0) return []
    this.#model.slot(images.length - 1) // makes room for all before any is filled
    const places = await Promise.allSettled(images.map((image, index) => this.#fill(image, index)))
    freeImages(images)
    const outputs = places.some(({ status }) => status === 'fulfilled') ? await this.#run(images.length) : []
    return places.map((place, index) => {
      if (place.status === 'rejected') return { ok: false, error: toThreadError(place.reason) }
      return answer(() => this.#read(outputs[index], place.value))
    })
  }

  async #fill(image: OwnedImage, index: number): Promise<Placement> {
    const { width, height, fit } = this.#model
    const { maxPixels } = this.#settings
    return await fillTensor(image, this.#model.slot(index), { width, height, fit, maxPixels })
  }

  /** All at once, or one by one if that fails; what fails alone is an answer. */
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
    const { plan, categories, confidence } = this.#settings
    if (output === undefined) throw new Error('the model gave fewer outputs than images')
    const decoded = decode(output(), plan, factsOf(this.#model, this.#settings))
    const pointCategories = 'point_categories' in plan ? plan.point_categories : undefined
    return toFindings(decoded, place, { categories, pointCategories, confidence })
  }
}

function rethrow(error: unknown): () => never {
  return () => {
    throw error
  }
}

function answer(read: () => Findings): LaneAnswer {
  try {
    return { ok: true, findings: read() }
  } catch (error) {
    return { ok: false, error: toThreadError(error) }
  }
}
