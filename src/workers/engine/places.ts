/** The place of one training among those that a host works on. */
export type Place = {
  /** Lets another training have it for now; false when as many are lent already as there are places. */
  lend(): boolean
  /** Takes it back at once, also when that makes one training more than there are places. */
  takeBack(): void
  release(): void
}

/** How many trainings this host works on at once, over all its trainers' queues. */
export type Places = {
  /** A place, or undefined when all are taken. */
  tryTake(): Place | undefined
  /** A place in any case, for a training that this host has claimed already; it may be one more than there are. */
  take(): Place
  readonly free: number
  /** So many trainings wait without a place of their own. */
  readonly lent: number
  readonly total: number
  /** So many places from now on; more trainings than that go on. */
  setTotal(total: number): void
}

/** `onChange` is told after each change, so that queues can be paused and resumed. */
export function createPlaces(most: number, onChange: () => void): Places {
  let total = most
  let taken = 0
  let lent = 0
  const change = (takenBy: number, lentBy: number) => {
    taken += takenBy
    lent += lentBy
    onChange()
  }

  function take(): Place {
    let state: 'taken' | 'lent' | 'released' = 'taken'
    change(+1, 0)
    return {
      lend() {
        if (state !== 'taken' || lent >= total) return state === 'lent'
        state = 'lent'
        change(-1, +1)
        return true
      },
      takeBack() {
        if (state !== 'lent') return
        state = 'taken'
        change(+1, -1)
      },
      release() {
        if (state === 'taken') change(-1, 0)
        if (state === 'lent') change(0, -1)
        state = 'released'
      },
    }
  }

  return {
    tryTake: () => (taken >= total ? undefined : take()),
    take,
    get free() {
      return Math.max(0, total - taken)
    },
    get lent() {
      return lent
    },
    get total() {
      return total
    },
    setTotal(next) {
      total = next
      onChange()
    },
  }
}
