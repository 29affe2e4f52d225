import { NotEnoughGpusError } from '../errors.js'

/** Slots lent to one training until released. */
export type Lease = {
  /** Indices of the GPUs; none on the CPU slot. */
  readonly slots: readonly number[]
  /** May be called again, which does nothing. */
  release(): void
}

export type AcquireOptions = {
  readonly signal: AbortSignal
  /** Goes ahead of those who wait already, for the rest of a training that has its model. */
  readonly ahead?: boolean
}

export type Slots = {
  /**
   * Waits, first come first served, until so many GPUs are free. Without GPUs on the host, or for 0 of them, the one
   * CPU slot is lent. Throws LF_NOT_ENOUGH_GPUS, or the signal's reason.
   */
  acquire(count: number, options: AcquireOptions): Promise<Lease>
  /** All GPU indices of this host; none where only the CPU slot is. */
  readonly gpus: readonly number[]
  /** What is free now, for the dashboard. */
  free(): { readonly gpus: readonly number[]; readonly cpu: number }
}

type Waiter = { readonly count: number; readonly grant: (lease: Lease) => void }

/** The slots of one host; `gpus` null or empty means a host without GPUs. */
export function createSlots(options: { readonly gpus: readonly number[] | null; readonly cpuSlots?: number }): Slots {
  const gpus = [...new Set(options.gpus ?? [])].sort((a, b) => a - b)
  let freeGpus = [...gpus]
  let freeCpus = options.cpuSlots ?? 1
  const waiters: Waiter[] = []

  /** GPUs and the CPU slot are two queues; within each, nobody overtakes, or a large order would wait for ever. */
  function serve(): void {
    for (const forCpu of [true, false]) {
      let first = firstWaiter(forCpu)
      while (first !== undefined && fits(first.count)) {
        remove(first)
        first.grant(lend(first.count))
        first = firstWaiter(forCpu)
      }
    }
  }

  function firstWaiter(forCpu: boolean): Waiter | undefined {
    return waiters.find((waiter) => isForCpu(waiter.count) === forCpu)
  }

  function remove(waiter: Waiter): void {
    waiters.splice(waiters.indexOf(waiter), 1)
  }

  function fits(count: number): boolean {
    return isForCpu(count) ? freeCpus > 0 : freeGpus.length >= count
  }

  function isForCpu(count: number): boolean {
    return count === 0 || gpus.length === 0
  }

  function lend(count: number): Lease {
    const forCpu = isForCpu(count)
    const slots = forCpu ? [] : freeGpus.slice(0, count)
    if (forCpu) freeCpus -= 1
    else freeGpus = freeGpus.slice(count)
    let isHeld = true
    return {
      slots,
      release() {
        if (!isHeld) return
        isHeld = false
        if (forCpu) freeCpus += 1
        else freeGpus = [...freeGpus, ...slots].sort((a, b) => a - b)
        serve()
      },
    }
  }

  return {
    gpus,
    free: () => ({ gpus: [...freeGpus], cpu: freeCpus }),
    async acquire(count, { signal, ahead = false }) {
      signal.throwIfAborted()
      if (!isForCpu(count) && count > gpus.length) throw new NotEnoughGpusError({ wanted: count, present: gpus.length })
      return new Promise((resolve, reject) => {
        const onAbort = () => {
          remove(waiter)
          reject(signal.reason)
          serve()
        }
        const waiter: Waiter = {
          count,
          grant(lease) {
            signal.removeEventListener('abort', onAbort)
            resolve(lease)
          },
        }
        signal.addEventListener('abort', onAbort, { once: true })
        if (ahead) waiters.unshift(waiter)
        else waiters.push(waiter)
        serve()
      })
    },
  }
}
