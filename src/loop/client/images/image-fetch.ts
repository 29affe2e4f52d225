export type OfProject = { readonly organization: string; readonly project: string }

/** What is to be fetched for a project, and who is told how far it is. */
export type FetchOptions = OfProject & {
  readonly ids: readonly string[]
  readonly signal: AbortSignal
  readonly onProgress?: (done: number, total: number) => void
}
