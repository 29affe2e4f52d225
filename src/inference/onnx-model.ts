import type * as Ort from 'onnxruntime-node'
import { messageOf } from '../base/errors.js'
import type { DecoderPlan } from './decoder-file.js'
import type { ModelOutput } from './decoders/model-output.js'
import { InferenceError } from './errors.js'
import type { Fit } from './image-tensor.js'

/** A loaded model; one image at a time, into `input` and then `run`. */
export type OnnxModel = {
  readonly width: number
  readonly height: number
  readonly fit: Fit
  /** RGB planes, reused for every image. */
  readonly input: Float32Array
  run(): Promise<ModelOutput>
}

export type OnnxModelOptions = {
  readonly modelFile: string
  readonly plan: DecoderPlan
  /** Edge of the square input of a model that names no size of its own. */
  readonly resolution: number | undefined
}

export type OnnxModelDeps = { readonly importRuntime?: () => Promise<typeof Ort> }

/** Loads ONNX Runtime and the model; throws LF_RUNTIME_MISSING, LF_MODEL_UNREADABLE or LF_DECODER_INVALID. */
export async function openOnnxModel(options: OnnxModelOptions, deps: OnnxModelDeps = {}): Promise<OnnxModel> {
  const ort = await loadRuntime(deps.importRuntime ?? (() => import('onnxruntime-node')))
  const session = await openSession(ort, options.modelFile)
  const size = inputSize(session, options)
  const { width, height } = size
  const input = new Float32Array(3 * width * height)
  const inputName = session.inputNames[0] ?? ''
  const outputName = session.outputNames[0] ?? ''
  const tensor = new ort.Tensor('float32', input, [1, 3, height, width])
  const run = async () => toModelOutput((await runSession(session, inputName, tensor, outputName))[outputName])
  return { width, height, fit: fitOf(session, options.plan), input, run }
}

async function loadRuntime(importRuntime: () => Promise<typeof Ort>): Promise<typeof Ort> {
  try {
    return await importRuntime()
  } catch (cause) {
    throw new InferenceError(
      'LF_RUNTIME_MISSING',
      `ONNX Runtime cannot be loaded (${firstLine(cause)}); install it with "npm install onnxruntime-node".`,
      { cause },
    )
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
    throw new InferenceError('LF_MODEL_UNREADABLE', `${modelFile} is no ONNX model: ${firstLine(cause)}.`, { cause })
  }
}

type Size = { readonly width: number; readonly height: number }

// A size that is part of the model is the only one that runs, so it goes before decoder.json and resolution.
function inputSize(session: Ort.InferenceSession, { modelFile, plan, resolution }: OnnxModelOptions): Size {
  const metadata = session.inputMetadata[0]
  if (metadata === undefined || !metadata.isTensor || session.inputNames.length !== 1) {
    throw unfit(modelFile, `has ${session.inputNames.length} inputs instead of one image`)
  }
  if (metadata.type !== 'float32') throw unfit(modelFile, `takes ${metadata.type} instead of float32; export it so`)
  const [batch, channels, height, width] = metadata.shape
  const isImage = metadata.shape.length === 4 && mayBe(batch, 1) && mayBe(channels, 3)
  if (!isImage) throw unfit(modelFile, `takes [${metadata.shape.join(', ')}] instead of [1, 3, height, width]`)

  const wanted = plan.input ?? (resolution === undefined ? undefined : { width: resolution, height: resolution })
  const size = {
    width: typeof width === 'number' ? width : wanted?.width,
    height: typeof height === 'number' ? height : wanted?.height,
  }
  if (size.width === undefined || size.height === undefined) {
    throw unfit(modelFile, 'names no input size; give a resolution or a decoder.json with input')
  }
  if (plan.input !== undefined && (size.width !== plan.input.width || size.height !== plan.input.height)) {
    const names = `${plan.input.width}x${plan.input.height}`
    const message = `decoder.json names the input ${names}, but the model takes ${size.width}x${size.height}.`
    throw new InferenceError('LF_DECODER_INVALID', message, { details: { modelFile } })
  }
  return { width: size.width, height: size.height }
}

function mayBe(dim: number | string | undefined, size: number): boolean {
  return dim === size || typeof dim === 'string'
}

function fitOf(session: Ort.InferenceSession, plan: DecoderPlan): Fit {
  if (plan.layout === 'grid') return 'stretch'
  if (plan.layout === 'classification') return 'crop'
  const metadata = session.outputMetadata[0]
  const hasClasses = plan.layout === 'by-shape' && metadata?.isTensor === true && metadata.shape.length === 2
  return hasClasses ? 'crop' : 'letterbox'
}

async function runSession(session: Ort.InferenceSession, inputName: string, tensor: Ort.Tensor, outputName: string) {
  try {
    return await session.run({ [inputName]: tensor }, [outputName])
  } catch (cause) {
    const message = `The model cannot be run on [${tensor.dims.join(', ')}]: ${firstLine(cause)}.`
    throw new InferenceError('LF_INFERENCE_FAILED', message, { cause })
  }
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
