import { LoopRequestError } from '../session/errors.js'

/** The images that the Loop answered with an error of its own, until it is clear what that means. */
export type ImageTroubles = {
  /** Takes the error of one image, or throws it when it cannot be a matter of that image alone. */
  take(error: unknown): void
  /** Throws the first error unless few images failed while the Loop was well. */
  judge(isLoopWell: () => Promise<boolean>): Promise<void>
}

// A proxy answers with these when the Loop itself is away.
const AWAY = new Set([429, 502, 503, 504])
const FEW = 0.01

/**
 * One image whose file is broken at the Loop must not keep a training from starting for ever, and a Loop that is down
 * must not make a training start without its images: up to one in a hundred may fail while the Loop is otherwise well.
 */
export function createImageTroubles(total: number): ImageTroubles {
  const errors: LoopRequestError[] = []
  const allowed = Math.max(1, Math.floor(total * FEW))

  return {
    take(error) {
      const status = error instanceof LoopRequestError ? error.details.status : undefined
      if (!(error instanceof LoopRequestError) || status === undefined || status < 500 || AWAY.has(status)) throw error
      if (errors.length >= allowed) throw error
      errors.push(error)
    },
    async judge(isLoopWell) {
      const [first] = errors
      if (first !== undefined && !(await isLoopWell())) throw first
    },
  }
}
