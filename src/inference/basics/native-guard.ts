import { performance } from 'node:perf_hooks'
import process from 'node:process'

/**
 * Knows whether a thread is inside a native addon. Ending a thread there aborts the whole process ("terminate called
 * after throwing an instance of 'Napi::Error'"), so it may only be ended after `condemn` has answered true. More cells
 * hold when the thread began its present images (or, while it loads its model, when that was loaded), how many of its
 * task it has begun, and how many pieces of native work lie within each other or side by side, which only the thread
 * itself reads.
 */
export type NativeGuard = Int32Array<SharedArrayBuffer>

/** Does native work; how a thread's code says that it must not be ended meanwhile. */
export type InsideNative = <T>(work: () => Promise<T>) => Promise<T>

export type Limits = {
  /** For the images that the backend is given in one call, or the first one. */
  readonly timeoutMs: number
  /** For what comes before: loading the model, or that the thread begins. */
  readonly loadMs: number
}

const OUTSIDE = 0
const INSIDE = 1
const CONDEMNED = 2
const SINCE_CELL = 1
const DEPTH_CELL = 2
const BEGUN_CELL = 3

export function createNativeGuard(): NativeGuard {
  return new Int32Array(new SharedArrayBuffer(16))
}

/** In the thread: runs native work; a condemned thread never comes back from here, it is about to be ended. */
export async function insideNative<T>(guard: NativeGuard, work: () => Promise<T>): Promise<T> {
  if (Atomics.compareExchange(guard, 0, OUTSIDE, INSIDE) === CONDEMNED) await new Promise(() => {})
  Atomics.add(guard, DEPTH_CELL, 1)
  try {
    return await work()
  } finally {
    if (Atomics.sub(guard, DEPTH_CELL, 1) === 1) {
      Atomics.store(guard, 0, OUTSIDE)
      Atomics.notify(guard, 0)
    }
  }
}

/** In the thread: the model is loaded, and the work on the images up to this one begins. */
export function markBegun(guard: NativeGuard, images: number): void {
  Atomics.store(guard, BEGUN_CELL, images)
  Atomics.store(guard, SINCE_CELL, clockMs() || 1)
}

/** How many images of its task the thread has begun. */
export function begunImages(guard: NativeGuard): number {
  return Atomics.load(guard, BEGUN_CELL)
}

/** For how long the thread has been at the images it began last; undefined before it has begun. */
function workedMs(guard: NativeGuard): number | undefined {
  const begunAt = Atomics.load(guard, SINCE_CELL)
  return begunAt === 0 ? undefined : (clockMs() - begunAt) | 0
}

// The same clock in all threads of the process, unlike performance.now(); cut to 32 bits.
function clockMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n) | 0
}

/** In the main thread: calls back once if the work takes longer. Returns a function that ends that. */
export function watchGuard(guard: NativeGuard, { timeoutMs, loadMs }: Limits, onLate: () => void): () => void {
  const giveUpAt = performance.now() + loadMs
  const check = () => {
    const leftMs = timeoutMs - (workedMs(guard) ?? 0)
    if (leftMs <= 0 || performance.now() >= giveUpAt) onLate()
    else timer = setTimeout(check, leftMs)
  }
  let timer = setTimeout(check, timeoutMs)
  return () => clearTimeout(timer)
}

/** In the main thread: true if the thread is outside and will stay so, which makes it safe to end. */
export function condemn(guard: NativeGuard): boolean {
  return Atomics.compareExchange(guard, 0, OUTSIDE, CONDEMNED) !== INSIDE
}

/** Blocks until the thread is safe to end; for the process's exit, where nothing can be awaited any more. */
export function condemnNow(guard: NativeGuard, maxMs: number): boolean {
  if (condemn(guard)) return true
  Atomics.wait(guard, 0, INSIDE, maxMs)
  return condemn(guard)
}
