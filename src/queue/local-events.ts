/** How a job ended, when that is known without looking. */
export type Settled = { readonly value: unknown }

export type OnSettled = (settled?: Settled) => void

/** What this process knows of jobs that it works on itself, without asking Redis. */
export type LocalEvents = {
  /** The queue is worked on here, until what is returned is called. */
  open(queue: string): () => void
  isOpen(queue: string): boolean
  listen(queue: string, id: string, onChange: OnSettled): () => void
  tell(queue: string, id: string, settled?: Settled): void
}

export function createLocalEvents(): LocalEvents {
  const consumers = new Map<string, number>()
  const listeners = new Map<string, Set<OnSettled>>()
  const keyOf = (queue: string, id: string) => `${queue}\n${id}`

  return {
    open(queue) {
      consumers.set(queue, (consumers.get(queue) ?? 0) + 1)
      return () => {
        consumers.set(queue, (consumers.get(queue) ?? 1) - 1)
      }
    },
    isOpen: (queue) => (consumers.get(queue) ?? 0) > 0,
    listen(queue, id, onChange) {
      const key = keyOf(queue, id)
      const ofJob = listeners.get(key) ?? new Set()
      listeners.set(key, ofJob.add(onChange))
      return () => {
        ofJob.delete(onChange)
        if (ofJob.size === 0) listeners.delete(key)
      }
    },
    tell(queue, id, settled) {
      for (const onChange of listeners.get(keyOf(queue, id)) ?? []) onChange(settled)
    },
  }
}
