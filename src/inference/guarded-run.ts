import { EventEmitter } from 'node:events'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Piscina } from 'piscina'
import { messageOf } from '../base/errors.js'
import { InferenceError } from './errors.js'
import { buffersOf } from './image-source.js'
import { condemn, createNativeGuard, type NativeGuard, workedMs } from './native-guard.js'
import type { ThreadAnswer, ThreadTask } from './thread-messages.js'

export type GuardedRun = {
  /** Rejects with LF_INFERENCE_TIMEOUT or LF_INFERENCE_THREAD_DIED. */
  readonly answer: Promise<ThreadAnswer>
  /** Resolves when the thread is free or gone, which after a time-out is later than the answer; never rejects. */
  readonly over: Promise<void>
  readonly guard: NativeGuard
}

export type RunLimits = {
  /** For the images that the backend is given at once. */
  readonly timeoutMs: number
  /** For loading the model before it, if the thread is new. */
  readonly loadMs: number
}

/** Gives one task to the thread; one that is late is ended as soon as that is safe, and piscina replaces it. */
export function runGuarded(piscina: Piscina, what: Omit<ThreadTask, 'guard'>, limits: RunLimits): GuardedRun {
  const guard = createNativeGuard()
  const ending = new EventEmitter() // takes less than an AbortController, and piscina takes either
  const task: ThreadTask = { ...what, guard }
  const transferList = task.images.flatMap(buffersOf)
  const run: Promise<ThreadAnswer> = piscina.run(task, { signal: ending, transferList })
  const over = run.then(
    () => {},
    () => {},
  )
  const answer = new Promise<ThreadAnswer>((resolve, reject) => {
    const stopWatching = watch(guard, limits, () => {
      reject(timeoutError(limits.timeoutMs))
      void endWhenSafe(guard, ending, over)
    })
    run.then(resolve, (cause: unknown) => reject(diedError(cause))).finally(stopWatching)
  })
  return { answer, over, guard }
}

// The time runs from when the thread has begun the images it is at; a new one loads its model first.
function watch(guard: NativeGuard, { timeoutMs, loadMs }: RunLimits, onLate: () => void): () => void {
  const giveUpAt = performance.now() + loadMs
  const look = () => {
    const leftMs = timeoutMs - (workedMs(guard) ?? 0)
    if (leftMs <= 0 || performance.now() >= giveUpAt) onLate()
    else timer = setTimeout(look, leftMs)
  }
  let timer = setTimeout(look, timeoutMs)
  return () => clearTimeout(timer)
}

async function endWhenSafe(guard: NativeGuard, ending: EventEmitter, over: Promise<void>): Promise<void> {
  let isOver = false
  void over.then(() => {
    isOver = true
  })
  while (!isOver && !condemn(guard)) await sleep(20)
  ending.emit('abort') // piscina terminates the thread of a running task
}

function timeoutError(timeoutMs: number): InferenceError {
  const message = `An image took longer than ${timeoutMs} ms; its thread is replaced.`
  return new InferenceError('LF_INFERENCE_TIMEOUT', message, { details: { timeoutMs } })
}

function diedError(cause: unknown): InferenceError {
  const message = `The inference thread ended while it held an image (${messageOf(cause)}); it was replaced.`
  return new InferenceError('LF_INFERENCE_THREAD_DIED', message, { cause, failure: 'transient' })
}
