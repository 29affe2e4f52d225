import { messageOf } from '../../base/index.js'
import { LoopRequestError } from '../../loop/client/index.js'
import type { Entry } from './entries.js'

/** What to do with an image that failed alone. */
type Verdict = 'again' | 'last' | 'aside'

/** Tells an image at which the Loop breaks down from a Loop that is away: others must be taken between its failures. */
export type Suspects = {
  /** The Loop has taken something. */
  onTaken(): void
  /** A request with this image alone has failed. */
  judge(entry: Entry, error: unknown): Verdict
}

const FAILURES_TO_BE_LAST = 3
const STRIKES_TO_GO = 5

export function createSuspects(): Suspects {
  /** How often something was taken in all, and when each suspect failed last. */
  let taken = 0
  const strikes = new WeakMap<Entry, { readonly count: number; readonly at: number }>()
  let inARow: { readonly entry: Entry; readonly count: number } | undefined

  function first(entry: Entry): Verdict {
    inARow = { entry, count: inARow?.entry === entry ? inARow.count + 1 : 1 }
    if (inARow.count < FAILURES_TO_BE_LAST) return 'again'
    strikes.set(entry, { count: 0, at: taken })
    return 'last'
  }

  return {
    onTaken() {
      taken += 1
      inARow = undefined
    },
    judge(entry, error) {
      if (!canBeDueToContent(error)) return 'again'
      const known = strikes.get(entry)
      if (known === undefined) return first(entry)
      const count = known.count + (known.at === taken ? 0 : 1)
      strikes.set(entry, { count, at: taken })
      return count < STRIKES_TO_GO ? 'last' : 'aside'
    },
  }
}

/** Why an image goes that the Loop never answered. */
export function strikesReason(error: unknown): string {
  return `The Loop took others, and failed ${STRIKES_TO_GO} times at this one: ${messageOf(error)}`
}

/** No answer, or an error inside of the Loop. What a proxy says of a Loop that is away is none. */
function canBeDueToContent(error: unknown): boolean {
  if (!(error instanceof LoopRequestError)) return false
  const { status } = error.details
  return status === undefined || status === 500
}
