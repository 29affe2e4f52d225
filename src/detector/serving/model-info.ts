import type { ModelInfo } from '../../loop/protocol/index.js'
import type { DetectorModel } from './parts.js'

/** The loaded model as the detector's own API describes it. */
export function toModelInfo({ modelJson, folder, version, id }: DetectorModel): ModelInfo {
  const { host, organization, project, categories, resolution, model_size } = modelJson
  const conf_threshold = typeof modelJson.conf_threshold === 'number' ? modelJson.conf_threshold : null
  const ours = { id, version, model_root_path: folder, conf_threshold }
  return { ...ours, host, organization, project, categories, resolution, model_size }
}
