import type { LoopRest, ModelExchange } from '../../loop/client/index.js'
import type { ModelEntry, ModelJson } from '../../loop/protocol/index.js'

/** What a detector needs of the Loop's models of its project and format. */
export type ModelDownload = {
  /** Puts the checked, unpacked model into the folder, or leaves nothing there and throws. */
  download(what: {
    readonly modelId: string
    readonly folder: string
    readonly signal: AbortSignal
  }): Promise<{ readonly modelJson: ModelJson | undefined }>
  /** The project's models in all formats. */
  list(options: { readonly signal: AbortSignal }): Promise<readonly ModelEntry[]>
}

export type ModelDownloadOf = { readonly organization: string; readonly project: string; readonly format: string }
export type ModelDownloadDeps = {
  readonly exchange: Pick<ModelExchange, 'download'>
  readonly rest: Pick<LoopRest, 'models'>
}

export function createModelDownload(options: ModelDownloadOf, deps: ModelDownloadDeps): ModelDownload {
  const { organization, project, format } = options
  return {
    download: (what) => deps.exchange.download({ ...what, organization, project, format }),
    list: ({ signal }) => deps.rest.models(organization, project, { signal }),
  }
}
