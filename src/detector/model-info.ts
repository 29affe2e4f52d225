import type { ModelInfo } from '../loop/protocol/index.js'
import type { DetectorModel } from './parts.js'

/** The loaded model as the detector's own API describes it. */
export function toModelInfo({ modelJson, folder, version, id }: DetectorModel): ModelInfo {
  const { host, organization, project, categories, resolution, model_size } = modelJson
  return { id, host, organization, project, version, categories, resolution, model_root_path: folder, model_size }
}
