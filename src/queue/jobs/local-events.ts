/** How a job ended, when that is known without looking. */
export type Settled = { readonly value: unknown }

export type OnSettled = (settled?: Settled) => void

/** What this process knows of jobs that it works on itself, without asking Redis. */
export type LocalEvents = {
  /** The queue is worked on here, until what is returned is called. */
  open(queue: string): () => void
  isOpen(queue: string): boolean
  listen(queue: string, id: string, onChange: OnSettled): () => void
  /** A handler works on the job; what it answers or throws is known here also when Redis cannot keep it. */
  began(queue: string, id: string, outcome: Promise<unknown>): void
  /** The handler has ended; its outcome is known here for some seconds more, since Redis may have lost the job by now. */
  ended(queue: string, id: string): void
  outcomeOf(queue: string, id: string): Promise<unknown> | undefined
  /** That the job has changed; `result` is what its handler returned, once Redis has it. */
  tell(queue: string, id: string, result?: unknown): void
}

/** Longer than the interval in which a waiting caller polls the job. */
const KEPT_MS = 10_000

export function createLocalEvents(): LocalEvents {
  const consumers = new Map<string, number>()
  const listeners = new Map<string, Set<OnSettled>>()
  const outcomes = new Map<string, Promise<unknown>>()
  const keyOf = (queue: string, id: string) => `${queue}\n${id}`

  return {
    open(queue) {
      consumers.set(queue, (consumers.get(queue) ?? 0) + 1)
      return () => {
        consumers.set(queue, (consumers.get(queue) ?? 1) - 1)
      }
    },
    began(queue, id, outcome) {
      outcomes.set(keyOf(queue, id), outcome)
    },
    ended(queue, id) {
      const key = keyOf(queue, id)
      const outcome = outcomes.get(key)
      setTimeout(() => {
        if (outcomes.get(key) === outcome) outcomes.delete(key)
      }, KEPT_MS).unref()
    },
    outcomeOf: (queue, id) => outcomes.get(keyOf(queue, id)),
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
    tell(queue, id, result) {
      for (const onChange of listeners.get(keyOf(queue, id)) ?? []) onChange(toSettled(result))
    },
  }
}

// As it would be read from Redis; what is no object has forms of its own there, and is looked at.
function toSettled(result: unknown): Settled | undefined {
  if (typeof result !== 'object' || result === null) return undefined
  const text: string | undefined = JSON.stringify(result)
  return text === undefined ? undefined : { value: JSON.parse(text) }
}
