import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../../../base/index.js'

type OpenCv = typeof import('@techstark/opencv-js')

let loaded: OpenCv | undefined

/** OpenCV's WebAssembly build; loaded once per thread, which takes a good part of a second. */
export async function openCv(): Promise<{ readonly cv: OpenCv }> {
  if (loaded === undefined) {
    // The module has a `then` that calls back with the module itself, so that awaiting it never ends. It is therefore
    // required instead of imported, and handed out inside an object.
    const cv: OpenCv = createRequire(import.meta.url)('@techstark/opencv-js')
    while (!('Mat' in cv)) await sleep(5)
    loaded = cv
  }
  return { cv: loaded }
}

/** Why OpenCV threw: its own errors arrive as the number of a place in its heap. */
export async function openCvReason(thrown: unknown): Promise<string> {
  const { cv } = await openCv()
  return typeof thrown === 'number' ? cv.exceptionFromPtr(thrown).msg : messageOf(thrown)
}

/** Collects what lies in OpenCV's heap, which no garbage collector sees, and frees it at the end. */
export function withMats<T>(work: (keep: <M extends { delete(): void }>(mat: M) => M) => T): T {
  const kept: { delete(): void }[] = []
  try {
    return work((mat) => {
      kept.push(mat)
      return mat
    })
  } finally {
    for (const mat of kept.reverse()) mat.delete()
  }
}
