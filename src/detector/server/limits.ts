import { type BodyRate, usualBodyRate } from '../../base/http/index.js'

/** How much one client may ask for; what is more is refused while others are served. */
export type ServerLimits = {
  /** A whole HTTP body, and one message of the socket. */
  readonly maxBodyBytes: number
  /** Files in one upload. */
  readonly maxFiles: number
  /** All headers of a request together. */
  readonly maxHeaderBytes: number
  /** The headers must have come. */
  readonly headersMs: number
  /** What a body must come at. */
  readonly bodyRate: BodyRate
  readonly maxConnections: number
  /** A detection that has no answer by then is refused (503). */
  readonly deadlineMs: number
}

export const defaultLimits: ServerLimits = {
  maxBodyBytes: 64 * 1024 * 1024,
  maxFiles: 100,
  maxHeaderBytes: 16 * 1024,
  headersMs: 10_000,
  bodyRate: usualBodyRate,
  maxConnections: 2000,
  deadlineMs: 10_000,
}
