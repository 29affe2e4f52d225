import { LoopfleetError } from '../../base/index.js'

/** What is asked for is still being opened; answered with 503. */
class NotStartedError extends LoopfleetError {
  static {
    this.prototype.name = 'NotStartedError'
  }
  readonly statusCode = 503
  constructor(why: string) {
    super('LF_NOT_STARTED', why, { failure: 'transient' })
  }
}

/** Something that is opened later than what uses it. */
export type Later<T> = {
  set(value: T): void
  isThere(): boolean
  /** Throws LF_NOT_STARTED before it is there. */
  get(): T
}

export function createLater<T>(why: string): Later<T> {
  let known: { readonly value: T } | undefined
  return {
    set(value) {
      known = { value }
    },
    isThere: () => known !== undefined,
    get() {
      if (known === undefined) throw new NotStartedError(why)
      return known.value
    },
  }
}
