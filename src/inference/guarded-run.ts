import { setTimeout as sleep } from 'node:timers/promises'
import type { Piscina } from 'piscina'
import { InferenceError } from './errors.js'
import { condemn, createNativeGuard, type NativeGuard } from './native-guard.js'
import type { ThreadAnswer, ThreadImage, ThreadTask } from './thread-messages.js'

export type GuardedRun = {
  /** Rejects with LF_INFERENCE_TIMEOUT or LF_INFERENCE_THREAD_DIED. */
  readonly answer: Promise<ThreadAnswer>
  /** Resolves when the thread is free or gone, which after a time-out is later than the answer; never rejects. */
  readonly over: Promise<void>
  readonly guard: NativeGuard
}

/** Gives one image to a free thread; a thread that is late is ended as soon as that is safe, and piscina replaces it. */
export function runGuarded(piscina: Piscina, image: ThreadImage | undefined, timeoutMs: number): GuardedRun {
  const guard = createNativeGuard()
  const ending = new AbortController()
  const task: ThreadTask = { image, guard }
  const transferList = image !== undefined && 'bytes' in image ? [image.bytes.buffer] : []
  const run: Promise<ThreadAnswer> = piscina.run(task, { signal: ending.signal, transferList })
  const over = run.then(
    () => {},
    () => {},
  )
  const answer = new Promise<ThreadAnswer>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(timeoutError(timeoutMs))
      void endWhenSafe(guard, ending, over)
    }, timeoutMs)
    run.then(resolve, (cause: unknown) => reject(diedError(cause))).finally(() => clearTimeout(timer))
  })
  return { answer, over, guard }
}

async function endWhenSafe(guard: NativeGuard, ending: AbortController, over: Promise<void>): Promise<void> {
  let isOver = false
  void over.then(() => {
    isOver = true
  })
  while (!isOver && !condemn(guard)) await sleep(20)
  ending.abort() // piscina terminates the thread of a running task
}

function timeoutError(timeoutMs: number): InferenceError {
  const message = `An image took longer than ${timeoutMs} ms; its thread is replaced.`
  return new InferenceError('LF_INFERENCE_TIMEOUT', message, { details: { timeoutMs } })
}

function diedError(cause: unknown): InferenceError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const message = `The inference thread ended while it held an image (${reason}); it was replaced.`
  return new InferenceError('LF_INFERENCE_THREAD_DIED', message, { cause, failure: 'transient' })
}
