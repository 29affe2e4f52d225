import type { InferenceCategory } from '../findings/findings.js'

type Shared = {
  /** In the order of the model's outputs, as in model.json. */
  readonly categories: readonly InferenceCategory[]
  /** Edge of the square the model sees, in pixels, where the model itself does not say it. */
  readonly resolution?: number
}

/** The confidence below which nothing counts; the first that is given is taken, then the usual one of the layout. */
type Thresholds = {
  /** What an operator, an order or a trainer file asks for; before decoder.json. */
  readonly wanted?: number
  /** `conf_threshold` of model.json as it stands there; after decoder.json. */
  readonly ofModel?: unknown
}

/** An ONNX file on the CPU, one session per thread. */
export type OnnxBackend = Shared & {
  readonly kind: 'onnx'
  readonly modelFile: string
  /** By default the decoder.json beside the model, if there is one. */
  readonly decoderFile?: string
  readonly thresholds?: Thresholds
  /** It has served before: what is doubtful about it is read as it was then, with a warning. */
  readonly wasServed?: boolean
}

/** A JavaScript module that is loaded in every thread and exports `createBackend`. */
export type ModuleBackend = Shared & {
  readonly kind: 'module'
  readonly file: string
  readonly modelFolder: string
}

/** One long-lived program: frames in, detections out. */
export type ProgramBackend = Shared & {
  readonly kind: 'program'
  /** The program and its arguments; never a shell line. */
  readonly command: readonly [string, ...string[]]
  readonly cwd: string
  /** Its complete environment, but for what the pipe needs. */
  readonly env: Readonly<Record<string, string>>
  readonly modelFolder: string
  /** Its output is appended here; `detector-program.log` in `cwd` by default. */
  readonly logFile?: string
}

export type Backend = OnnxBackend | ModuleBackend | ProgramBackend
