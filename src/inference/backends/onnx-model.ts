import type * as Ort from 'onnxruntime-node'
import { messageOf } from '../../base/index.js'
import { InferenceError } from '../basics/index.js'
import type { ModelOutput } from '../decoders/model-output.js'
import type { InputSize } from './model/grid-cells.js'
import { whyNotLoaded } from './model/load-refusal.js'
import { loadOnnxRuntime } from './onnx-runtime.js'

/** A loaded model; images go into its slots, then it is run on some of them. */
export type OnnxModel = {
  readonly width: number
  readonly height: number
  readonly hasBatchAxis: boolean
  /** RGB planes of one image, reused for the next; valid until a higher slot is asked for the first time. */
  slot(index: number): Float32Array
  /** One output per image, from slot `first` on. */
  run(first: number, count: number): Promise<ModelOutput[]>
}

export type OnnxModelOptions = {
  readonly modelFile: string
  /** What decoder.json says of its input. */
  readonly input: InputSize | undefined
  /** Edge of the square input of a model that names no size of its own. */
  readonly resolution: number | undefined
}

/** Of a picture: red, green, blue and alpha. */
const MOST_CHANNELS = 4

/** Loads ONNX Runtime and the model; throws LF_RUNTIME_MISSING, LF_MODEL_UNREADABLE or LF_DECODER_INVALID. */
export async function openOnnxModel(options: OnnxModelOptions): Promise<OnnxModel> {
  const ort = await loadOnnxRuntime()
  const session = await openSession(ort, options.modelFile)
  const { width, height } = inputSize(session, options)
  const inputName = session.inputNames[0] ?? ''
  const outputNames = outputNamesOf(session)
  const slots = new Slots(3 * width * height)
  const run = async (first: number, count: number) => {
    const tensor = new ort.Tensor('float32', slots.range(first, count), [count, 3, height, width])
    return toModelOutputs(await runSession(session, { [inputName]: tensor }, outputNames), outputNames, count)
  }
  const hasBatchAxis =
    isFree(session.inputMetadata[0]) && outputNames.every((_, index) => isFree(session.outputMetadata[index]))
  return { width, height, hasBatchAxis, slot: (index) => slots.at(index), run }
}

/** Room for as many images as were ever in one batch, behind each other as the model wants them. */
class Slots {
  readonly #size: number
  #memory: Float32Array

  constructor(size: number) {
    this.#size = size
    this.#memory = new Float32Array(size)
  }

  at(index: number): Float32Array {
    return this.range(index, 1)
  }

  range(first: number, count: number): Float32Array {
    const end = (first + count) * this.#size
    if (end > this.#memory.length) this.#memory = new Float32Array(end)
    return this.#memory.subarray(first * this.#size, end)
  }
}

async function openSession(ort: typeof Ort, modelFile: string): Promise<Ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(modelFile, {
      executionProviders: ['cpu'],
      intraOpNumThreads: 1, // the pool is the parallelism
      interOpNumThreads: 1,
      logSeverityLevel: 4, // errors arrive as exceptions
    })
  } catch (cause) {
    throw new InferenceError('LF_MODEL_UNREADABLE', `${modelFile} ${whyNotLoaded(firstLine(cause))}.`, { cause })
  }
}

// A size that is part of the model is the only one that runs, so it goes before decoder.json and resolution.
function inputSize(session: Ort.InferenceSession, { modelFile, input, resolution }: OnnxModelOptions): InputSize {
  const metadata = session.inputMetadata[0]
  if (metadata === undefined || !metadata.isTensor || session.inputNames.length !== 1) {
    throw unfit(modelFile, `has ${session.inputNames.length} inputs instead of one image`)
  }
  if (metadata.type !== 'float32') throw unfit(modelFile, `takes ${metadata.type} instead of float32; export it so`)
  const [batch, channels, height, width] = metadata.shape
  const isImage = metadata.shape.length === 4 && mayBe(batch, 1) && mayBe(channels, 3)
  const taken = `takes [${metadata.shape.join(', ')}]`
  // A channel axis with a name may be any axis of the picture, and a picture is never so narrow.
  if (channels !== 3 && typeof width === 'number' && width <= MOST_CHANNELS) {
    throw unfit(modelFile, `${taken}, channels last; export it with channels first, as [1, 3, height, width]`)
  }
  if (!isImage) throw unfit(modelFile, `${taken} instead of [1, 3, height, width]`)

  const wanted = input ?? (resolution === undefined ? undefined : { width: resolution, height: resolution })
  const size = {
    width: typeof width === 'number' ? width : wanted?.width,
    height: typeof height === 'number' ? height : wanted?.height,
  }
  if (size.width === undefined || size.height === undefined) {
    throw unfit(modelFile, 'names no input size; give a resolution or a decoder.json with input')
  }
  if (input !== undefined && (size.width !== input.width || size.height !== input.height)) {
    const names = `${input.width}x${input.height}`
    const message = `decoder.json names the input ${names}, but the model takes ${size.width}x${size.height}.`
    throw new InferenceError('LF_DECODER_INVALID', message, { details: { modelFile } })
  }
  return { width: size.width, height: size.height }
}

function isFree(metadata: Ort.InferenceSession.ValueMetadata | undefined): boolean {
  return metadata?.isTensor === true && typeof metadata.shape[0] === 'string'
}

// Segmentation models have the shapes of the masks as a second output; what others add (raw feature maps) is not needed.
function outputNamesOf({ outputNames, outputMetadata }: Ort.InferenceSession): string[] {
  const [first, second] = outputMetadata.map((metadata) => (metadata.isTensor ? metadata.shape.length : 0))
  const hasMasks = outputNames.length === 2 && first === 3 && second === 4
  return outputNames.slice(0, hasMasks ? 2 : 1)
}

function mayBe(dim: number | string | undefined, size: number): boolean {
  return dim === size || typeof dim === 'string'
}

async function runSession(session: Ort.InferenceSession, feeds: Record<string, Ort.Tensor>, outputNames: string[]) {
  try {
    return await session.run(feeds, outputNames)
  } catch (cause) {
    const dims = Object.values(feeds)[0]?.dims.join(', ')
    const message = `The model cannot be run on [${dims}]: ${firstLine(cause)}.`
    throw new InferenceError('LF_INFERENCE_FAILED', message, { cause })
  }
}

function toModelOutputs(
  tensors: Readonly<Record<string, Ort.Tensor>>,
  names: readonly string[],
  count: number,
): ModelOutput[] {
  const [output, masks] = names.map((name) => toModelOutput(tensors[name]))
  if (output === undefined) return []
  return Array.from({ length: count }, (_, index) => {
    const one = pick(output, index, count)
    return masks === undefined ? one : { ...one, masks: pick(masks, index, count) }
  })
}

/** The part of one image, as if the model had been run on it alone. */
function pick(output: ModelOutput, index: number, count: number): ModelOutput {
  if (count === 1) return output
  const [batch, ...rest] = output.dims
  if (batch !== count) {
    const message = `The model answers ${count} images with [${output.dims.join(', ')}].`
    throw new InferenceError('LF_MODEL_OUTPUT', message, { details: { dims: output.dims } })
  }
  const size = output.data.length / count
  return { dims: [1, ...rest], data: output.data.subarray(index * size, (index + 1) * size) }
}

function toModelOutput(tensor: Ort.Tensor | undefined): ModelOutput {
  const data = tensor?.data
  if (tensor !== undefined && data instanceof Float32Array) return { dims: tensor.dims, data }
  throw new InferenceError('LF_MODEL_OUTPUT', `The model's output is ${tensor?.type ?? 'missing'} instead of float32.`)
}

function unfit(modelFile: string, what: string): InferenceError {
  return new InferenceError('LF_MODEL_UNREADABLE', `${modelFile} ${what}.`, { details: { modelFile } })
}

function firstLine(thrown: unknown): string {
  return (messageOf(thrown).split('\n')[0] ?? '').replace(/\.$/, '')
}
