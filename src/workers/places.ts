/** How many trainings this host works on at once, over all its trainers' queues. */
export type Places = {
  /** Takes a place, or answers false when all are taken. */
  tryTake(): boolean
  release(): void
  readonly free: number
}

/** `onChange` hears how many places are free after each change, so that queues can be paused and resumed. */
export function createPlaces(total: number, onChange: (free: number) => void): Places {
  let free = total
  const change = (by: number) => {
    free += by
    onChange(free)
  }
  return {
    tryTake() {
      if (free === 0) return false
      change(-1)
      return true
    },
    release: () => change(+1),
    get free() {
      return free
    },
  }
}
