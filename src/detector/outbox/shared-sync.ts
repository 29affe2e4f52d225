import { syncFolder } from '../../base/index.js'

/** Syncs folders to the disk for several callers together: calls during a running sync share the next one. */
export function createSharedSync(sync: (folder: string) => Promise<void> = syncFolder) {
  const running = new Map<string, Promise<void>>()
  const next = new Map<string, Promise<void>>()

  function begin(folder: string): Promise<void> {
    const work = sync(folder).finally(() => running.delete(folder))
    running.set(folder, work)
    return work
  }

  return (folder: string): Promise<void> => {
    const current = running.get(folder)
    if (current === undefined) return begin(folder)
    const planned = next.get(folder)
    if (planned !== undefined) return planned
    // The running sync may have started before the caller's rename, so it does not cover it.
    const after = current
      .catch(() => undefined)
      .then(() => {
        next.delete(folder)
        return begin(folder)
      })
    next.set(folder, after)
    return after
  }
}
