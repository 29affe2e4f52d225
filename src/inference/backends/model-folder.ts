import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ModelJson } from '../../loop/protocol/index.js'
import { InferenceError } from '../basics/index.js'
import type { Backend } from './backend.js'

/** What runs a model, as far as it does not depend on the model. */
export type BackendChoice =
  | { readonly kind: 'onnx' }
  | { readonly kind: 'module'; readonly file: string }
  | {
      readonly kind: 'program'
      readonly command: readonly [string, ...string[]]
      readonly cwd: string
      readonly env: Readonly<Record<string, string>>
      readonly logFile?: string
    }

export type ModelUse = {
  /** The confidence that an operator asks for. */
  readonly threshold?: number | undefined
  readonly wasServed?: boolean
}

/** The backend for an unpacked model; throws LF_MODEL_UNREADABLE if it has no single ONNX file and needs one. */
export async function backendOf(
  modelFolder: string,
  modelJson: Pick<ModelJson, 'categories' | 'resolution'> & { readonly conf_threshold?: unknown },
  choice: BackendChoice,
  { threshold, wasServed }: ModelUse = {},
): Promise<Backend> {
  const categories = modelJson.categories.map(({ id, name, type }) => ({ id, name, type }))
  const shared = { categories, resolution: modelJson.resolution ?? undefined }
  if (choice.kind !== 'onnx') return { ...choice, ...shared, modelFolder }
  const thresholds = { wanted: threshold, ofModel: modelJson.conf_threshold }
  return { kind: 'onnx', modelFile: await findOnnxFile(modelFolder), thresholds, wasServed, ...shared }
}

async function findOnnxFile(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.onnx'))
  const [first] = names
  if (names.includes('model.onnx')) return join(folder, 'model.onnx')
  if (first !== undefined && names.length === 1) return join(folder, first)
  const problem = first === undefined ? 'no .onnx file' : `${names.length} .onnx files and none is model.onnx`
  throw new InferenceError('LF_MODEL_UNREADABLE', `${folder} has ${problem}.`, { details: { folder, names } })
}
