import type { Worker } from 'node:worker_threads'
import type { ThreadAnswer } from '../backends/thread-messages.js'
import { createNativeGuard, type InferenceError, type NativeGuard } from '../basics/index.js'

export type Thread = {
  readonly id: number
  readonly worker: Worker
  readonly exited: Promise<void>
  readonly lost: Promise<void>
  /** `booting` in its first task, `booted` before it loads the model, `ending` in its last task. */
  state: 'new' | 'booting' | 'booted' | 'working' | 'idle' | 'ending' | 'gone'
  readonly lose: () => void
}

/** What a thread is asked to do. */
export class Task {
  readonly guard: NativeGuard = createNativeGuard()
  /** Rejects with LF_INFERENCE_TIMEOUT or LF_INFERENCE_THREAD_DIED. */
  readonly answer: Promise<ThreadAnswer>
  readonly ending = new AbortController()
  /** Undefined until a thread has taken it. */
  thread: Thread | undefined
  /** Its time is over; its thread is ended, as soon as that is safe. */
  isLate = false
  isOver = false
  resolve: (answer: ThreadAnswer) => void = () => {}
  reject: (error: InferenceError) => void = () => {}

  constructor(thread: Thread | undefined) {
    this.thread = thread
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    this.answer.catch(() => {}) // of the last task nobody reads it
  }
}
