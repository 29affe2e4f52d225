export type PackerOptions = {
  /** A changed checkpoint is packed at most so often. */
  readonly everyMs: number
  /** How often the workspace is looked at. */
  readonly lookEveryMs: number
}

export type PackerWork = {
  /** What tells one checkpoint from the next. */
  state(): Promise<string>
  /** Returns false when there was nothing that could be packed yet. */
  pack(): Promise<boolean>
  /** Packing failed; it is tried again when its time has come. */
  failed(error: unknown): void
}

/** Decides when to pack: one at a time, and never so often that packing is all the disk does. */
export type Packer = {
  /** Packs what changes from now on. */
  follow(): Promise<void>
  /** A new best model is there: pack soon, whatever the time. */
  hurry(): void
  /** Looks no more, and waits for what is under way; the caller's signal ends that. */
  rest(): Promise<void>
}

export function createPacker(options: PackerOptions, work: PackerWork): Packer {
  let timer: NodeJS.Timeout | undefined
  let underWay: Promise<void> | undefined
  let hurried = false
  let packedState: string | undefined
  let changeAllowedAt = 0
  let anyAllowedAt = 0

  function look(): void {
    if (timer !== undefined) underWay ??= packIfDue().finally(() => (underWay = undefined))
  }

  async function packIfDue(): Promise<void> {
    const startedAt = performance.now()
    if (startedAt < anyAllowedAt) return
    try {
      const state = await work.state()
      if (!hurried && (state === packedState || startedAt < changeAllowedAt)) return
      const wasHurried = hurried
      hurried = false // a model that is reported from now on is the next pack's
      if (await work.pack()) {
        packedState = state
        changeAllowedAt = startedAt + options.everyMs
      } else {
        hurried ||= wasHurried
      }
      // A disk that needs ten seconds for a checkpoint gets ten seconds for others.
      anyAllowedAt = 2 * performance.now() - startedAt
    } catch (error) {
      anyAllowedAt = performance.now() + options.everyMs
      hurried = true
      work.failed(error)
    }
  }

  return {
    async follow() {
      clearInterval(timer)
      packedState = await work.state()
      timer = setInterval(look, options.lookEveryMs)
    },
    hurry() {
      hurried = true
      look()
    },
    async rest() {
      clearInterval(timer)
      timer = undefined
      await underWay
    },
  }
}
