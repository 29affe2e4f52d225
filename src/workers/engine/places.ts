/** The place of one training on this host. */
export type Place = {
  /** Lends the place to another training; false if as many are lent already as there are places. */
  lend(): boolean
  /** Takes the place back immediately, even if there is then one training more than there are places. */
  takeBack(): void
  release(): void
}

/** The places of this host for trainings of all its trainers. */
export type Places = {
  /** Takes a place; undefined if all are taken. */
  tryTake(): Place | undefined
  /** Takes a place even if all are taken: this host has claimed the training already. */
  take(): Place
  readonly free: number
  /** Number of trainings that have lent their place while they wait. */
  readonly lent: number
  readonly total: number
  /** Sets the number of places. Trainings beyond a lower number continue. */
  setTotal(total: number): void
}

/** `onChange` is called after each change, so that queues can be paused and resumed. */
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
