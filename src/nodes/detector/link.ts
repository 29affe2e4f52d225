/** How a detector talks with the Loop: by REST (current dialect) or by its socket (0.8). */
export type LoopLink = {
  open(signal: AbortSignal): Promise<void>
  /** What is due every few seconds. Throws when the Loop is away. */
  cycle(signal: AbortSignal): Promise<void>
  /** Tells the status now. Throws when the Loop is away. */
  tellStatus(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
