import type { TrainerEvent } from '../contract/index.js'

/** An event, and what to write down once its reader has dealt with it. */
export type QueuedEvent = {
  readonly event: TrainerEvent
  readonly confirm?: () => Promise<void>
  /** A model with files that were set aside: drops them and returns the same with its figures alone. */
  readonly dropFiles?: () => QueuedEvent
}

/**
 * Brings events of several sources to one reader. A progress that nobody has read yet is replaced by the next one, except
 * for what the next one leaves open, so that a chatty program costs no memory while its reader is busy. Of the models that
 * nobody has read yet only the newest keeps its files, so that a slow reader does not fill the disk.
 */
export class EventQueue {
  #events: QueuedEvent[] = []
  #failure: { readonly error: unknown } | undefined
  #closed = false
  #newestModel: QueuedEvent | undefined
  #wake: () => void = () => undefined
  readonly #onPush: () => void

  constructor(onPush: () => void = () => undefined) {
    this.#onPush = onPush
  }

  push(queued: QueuedEvent): void {
    if (this.#closed) return
    this.#onPush()
    const last = this.#events.at(-1)
    const merged = last === undefined ? undefined : mergeProgress(last, queued)
    if (merged !== undefined) this.#events.pop()
    if (queued.dropFiles !== undefined) this.#dropOlderFiles(queued)
    this.#events.push(merged ?? queued)
    this.#wake()
  }

  /** The reader gets what is there, then the end. */
  close(): void {
    this.#closed = true
    this.#wake()
  }

  /** The reader gets what is there, then the error. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    this.close()
  }

  async *read(): AsyncGenerator<QueuedEvent, void, void> {
    for (;;) {
      const next = this.#events.shift()
      if (next !== undefined) yield next
      else if (this.#failure !== undefined) throw this.#failure.error
      else if (this.#closed) return
      else await this.#somethingNew()
    }
  }

  #dropOlderFiles(newest: QueuedEvent): void {
    const older = this.#newestModel
    this.#newestModel = newest
    const at = older === undefined ? -1 : this.#events.lastIndexOf(older)
    const withoutFiles = at === -1 ? undefined : older?.dropFiles?.()
    if (withoutFiles !== undefined) this.#events[at] = withoutFiles
  }

  #somethingNew(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

function mergeProgress(earlier: QueuedEvent, later: QueuedEvent): QueuedEvent | undefined {
  if (earlier.event.event !== 'progress' || later.event.event !== 'progress') return undefined
  const told = Object.entries(later.event).filter(([, value]) => value !== undefined && value !== null)
  return { ...later, event: { ...earlier.event, ...Object.fromEntries(told) } }
}
