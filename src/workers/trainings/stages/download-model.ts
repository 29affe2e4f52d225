import { removeTree } from '../../../base/index.js'
import type { Stage, StageContext, StageDeps } from './stage.js'

/** Downloads the base model; a training from scratch has none. */
export const downloadModel: Stage = {
  name: 'download-model',
  kind: 'download',
  loopStates: { during: null, after: null },
  reportsProgress: false,
  errorKey: 'download_model',
  onStop: 'ends',
  servesUpload: true,
  results: ({ paths, order }) => (order.baseModel.kind === 'loop' ? [paths.baseModel] : []),
  run,
}

async function run(context: StageContext, deps: StageDeps) {
  const { training, signal } = context
  const { baseModel, organization, project } = training.order
  if (baseModel.kind !== 'loop') {
    context.say('training from scratch, no base model to download')
    return { baseModel: null }
  }
  await removeTree(training.paths.baseModel)
  const { files } = await deps.models.download({
    organization,
    project,
    modelId: baseModel.id,
    format: training.definition.format,
    folder: training.paths.baseModel,
    signal,
    onProgress: (progress) => context.progress({ progress }),
  })
  context.say(`base model ${baseModel.id} with ${files.length} files`)
  return { baseModel: baseModel.id, files: files.length }
}
