export type HistoriesOptions = {
  /** A history that was not used for so long is dropped. */
  readonly expireMs: number
  /** Past this count the one that was not used for the longest time is dropped. */
  readonly maxUsers: number
}

/** What the tool remembers of each user; bounded in time and count, since a user who just closes the page says nothing. */
export type Histories = {
  /** The user's history, made on first use. */
  of(user: string): unknown
  /** False when there is none. */
  delete(user: string): boolean
  /** Drops what has expired; also done at every use. */
  sweep(): void
  users(): readonly string[]
}

export function createHistories(
  options: HistoriesOptions,
  deps: { readonly create: () => unknown; readonly now: () => number },
): Histories {
  // In the order of their last use, the oldest first.
  const kept = new Map<string, { readonly history: unknown; readonly usedAt: number }>()

  function sweep(): void {
    const expiredAt = deps.now() - options.expireMs
    for (const [user, { usedAt }] of kept) {
      if (usedAt > expiredAt && kept.size <= options.maxUsers) return
      kept.delete(user)
    }
  }

  return {
    of(user) {
      sweep()
      const history = kept.get(user)?.history ?? deps.create()
      kept.delete(user)
      kept.set(user, { history, usedAt: deps.now() })
      sweep()
      return history
    },
    delete: (user) => kept.delete(user),
    sweep,
    users: () => [...kept.keys()],
  }
}
