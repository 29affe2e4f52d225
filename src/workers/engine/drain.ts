import type { Logger } from '../../base/logger/index.js'
import type { Fleet } from '../../queue/index.js'

/** Whether this host drains: it finishes its work and claims no more. */
export type Drain = {
  readonly isDraining: boolean
  /** Reads it from Redis. */
  read(): Promise<void>
  /** Reads it from Redis before each claim: a person who asked for the drain has been told that no more is claimed. */
  mayTake(): Promise<boolean>
}

export function createDrain(
  { hostId }: { readonly hostId: string },
  deps: { readonly fleet: Pick<Fleet, 'isDraining'>; readonly onChange: () => void; readonly log: Logger },
): Drain {
  let isDraining = false

  async function read(): Promise<void> {
    const wanted = await deps.fleet.isDraining(hostId)
    if (wanted === isDraining) return
    isDraining = wanted
    deps.log.info({ isDraining }, isDraining ? 'draining started' : 'draining ended')
    deps.onChange()
  }

  return {
    get isDraining() {
      return isDraining
    },
    read,
    async mayTake() {
      await read()
      return !isDraining
    },
  }
}
