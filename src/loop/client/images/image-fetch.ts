export type OfProject = { readonly organization: string; readonly project: string }

/** The images to download for a project, and the listener of the progress. */
export type FetchOptions = OfProject & {
  readonly ids: readonly string[]
  readonly signal: AbortSignal
  readonly onProgress?: (done: number, total: number) => void
}
