import { setFlagsFromString } from 'node:v8'

/** What V8 may add to what is alive, in percent; its own most, which it grants only to heaps that fill quickly. */
export const HEAP_GROWTH = '--heap-growing-percent=300'

/**
 * Lets the heap of this process, and of each of its threads, grow to four times what is alive before all of it is looked
 * through. V8 counts the memory of images to a heap, but judges by its objects how quickly it fills: a thread with 9 MB
 * of objects was looked through after every 160 images, all of them long dead, which cost more than the requests.
 */
export function letHeapsGrow(): void {
  setFlagsFromString(HEAP_GROWTH)
}
