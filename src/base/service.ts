/**
 * What lives longer than a call. `stop` may come before `start`, twice, or during it, and resolves when all is quiet:
 * no timer, socket or child process of the service is left.
 */
export interface Service {
  start(options: { readonly signal: AbortSignal }): Promise<void>
  stop(reason?: unknown): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
