/** Makes a save that never runs twice at once: calls during a run share the one that follows it. */
export function createSaver(write: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const run = (): Promise<void> => {
    running = write().finally(() => {
      running = undefined
    })
    return running
  }
  return () => {
    if (running === undefined) return run()
    next ??= running
      .catch(() => undefined) // told to the one who waits for that run
      .then(() => {
        next = undefined
        return run()
      })
    return next
  }
}
