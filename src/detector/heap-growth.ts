import { setFlagsFromString } from 'node:v8'

/** What V8 may add to what is alive, in percent; its own most, which it grants only to heaps that fill quickly. */
export const HEAP_GROWTH = '--heap-growing-percent=300'

/**
 * Lets the heap of this process, and of each of its threads, grow to four times what is alive before all of it is looked
 * through. V8 counts the bodies of requests to a heap, sweeps them every 32 MB, and judges by the objects alone how quickly
 * it fills. So its own limit is at times below what a sweep has to take, and it looks through all of 30 MB every 0.1 s.
 */
export function letHeapsGrow(): void {
  setFlagsFromString(HEAP_GROWTH)
}
