import { messageOf } from '../../base/index.js'
import { LoopRequestError } from '../../loop/client/index.js'
import type { Entry } from './entries.js'

/** What to do with an image that failed alone. */
type Verdict = 'retry' | 'put-last' | 'set-aside'

/** Tells an image that makes the Loop fail from a Loop that is unreachable: between its failures the Loop must have accepted others. */
export type SuspectedImages = {
  /** The Loop has accepted an image. */
  onAccepted(): void
  /** A request with this image alone has failed. */
  judge(entry: Entry, error: unknown): Verdict
}

const FAILURES_UNTIL_LAST = 3
const FAILURES_UNTIL_SET_ASIDE = 5

export function createSuspectedImages(): SuspectedImages {
  /** How many images the Loop has accepted, and for each suspected image how many there were at its last failure. */
  let taken = 0
  const failures = new WeakMap<Entry, { readonly count: number; readonly at: number }>()
  let consecutive: { readonly entry: Entry; readonly count: number } | undefined

  function first(entry: Entry): Verdict {
    consecutive = { entry, count: consecutive?.entry === entry ? consecutive.count + 1 : 1 }
    if (consecutive.count < FAILURES_UNTIL_LAST) return 'retry'
    failures.set(entry, { count: 0, at: taken })
    return 'put-last'
  }

  return {
    onAccepted() {
      taken += 1
      consecutive = undefined
    },
    judge(entry, error) {
      if (!canBeDueToContent(error)) return 'retry'
      const known = failures.get(entry)
      if (known === undefined) return first(entry)
      const count = known.count + (known.at === taken ? 0 : 1)
      failures.set(entry, { count, at: taken })
      return count < FAILURES_UNTIL_SET_ASIDE ? 'put-last' : 'set-aside'
    },
  }
}

/** Why an image is set aside for which the Loop never gave an answer. */
export function setAsideReason(error: unknown): string {
  return `The Loop took others, and failed ${FAILURES_UNTIL_SET_ASIDE} times at this one: ${messageOf(error)}`
}

/** No answer, or an internal error of the Loop. The answer of a proxy for an unreachable Loop does not count. */
function canBeDueToContent(error: unknown): boolean {
  if (!(error instanceof LoopRequestError)) return false
  const { status } = error.details
  return status === undefined || status === 500
}
