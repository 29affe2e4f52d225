import type { Logger } from '../../../base/logger/index.js'
import type { LoopSession } from '../session/session.js'
import { type DownloadedModel, downloadModel, type ModelDownloadOptions } from './model-download.js'
import { type ConvertedModelUpload, type TrainedModelUpload, uploadConverted, uploadTrained } from './model-upload.js'

export type ModelExchangeOptions = {
  /** The first pause after a failed download; the next ones are longer. */
  readonly retryFirstMs?: number
}
export type ModelExchangeDeps = { readonly session: LoopSession; readonly log: Logger }

/** Downloads models from the Loop and uploads them, with memory that does not depend on their size. */
export type ModelExchange = {
  /** Throws LF_ARCHIVE_REFUSED for a bad zip and LF_MODEL_FILES for a bad model.json; the folder stays as it was. */
  download(options: ModelDownloadOptions): Promise<DownloadedModel>
  /**
   * Sent once: the caller decides whether to repeat it after a lost answer. The id is null if the Loop has the files already
   * and does not name their model.
   */
  uploadTrained(upload: TrainedModelUpload): Promise<{ id: string | null }>
  uploadConverted(upload: ConvertedModelUpload): Promise<{ id: string }>
}

export function createModelExchange(deps: ModelExchangeDeps, options: ModelExchangeOptions = {}): ModelExchange {
  const { retryFirstMs = 1000 } = options
  const { session } = deps
  const log = deps.log.child({ component: 'model-exchange' })
  return {
    async download(what) {
      const model = await downloadModel(what, { session, retryFirstMs })
      log.info({ modelId: what.modelId, format: what.format, files: model.files.length }, 'model downloaded')
      return model
    },
    async uploadTrained(upload) {
      const answer = await uploadTrained(upload, session)
      log.info({ modelId: answer.id, format: upload.format, trainingNumber: upload.trainingNumber }, 'model uploaded')
      return answer
    },
    async uploadConverted(upload) {
      const answer = await uploadConverted(upload, session)
      log.info({ modelId: answer.id, format: upload.format }, 'converted model uploaded')
      return answer
    },
  }
}
