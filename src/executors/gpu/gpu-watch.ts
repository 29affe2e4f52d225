import { type Closers, every, messageOf, openResource } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { GpuFigures } from './figures.js'
import { type GpuLimits, type GpuOffer, offerWithoutReading, toOffer } from './gpu-offer.js'
import { type GpuCard, type GpuInventory, keyOf } from './inventory.js'
import type { GpuProbe } from './probe.js'
import type { ReadOptions } from './read-inventory.js'

/** Keeps the offer of a host up to date, and the newest figures at hand, so that nobody has to wait for a driver. */
export type GpuWatch = {
  readonly offer: GpuOffer
  /** At most a few readings old, of the offered cards; null without any. */
  figures(): GpuFigures[] | null
  /** Calls back after each change of the offer; returns how to end that. */
  onChange(listener: (offer: GpuOffer) => void): () => void
  close(): Promise<void>
}

export type GpuWatchOptions = {
  readonly limits: GpuLimits
  /** Longest wait for the driver at the start, and in later readings (`rereadMs`), for which nothing waits. */
  readonly startMs?: number
  readonly rereadMs?: number
  /** From one reading to the next while GPUs cannot be read, or slowly. */
  readonly retryMs?: number
  readonly figuresEveryMs?: number
}

export type GpuWatchDeps = {
  readonly read: (options: ReadOptions) => Promise<GpuInventory>
  /** Figures of an inventory that was read plainly before. */
  readonly probe: GpuProbe
  readonly log: Logger
  readonly signal?: AbortSignal
}

/** Reads once, then goes on in the background. Throws LF_INVALID_INPUT for limits that name no card of this host. */
export function openGpuWatch(options: GpuWatchOptions, deps: GpuWatchDeps): Promise<GpuWatch> {
  return openResource(deps.log, (closers) => open(options, deps, closers))
}

async function open(options: GpuWatchOptions, deps: GpuWatchDeps, closers: Closers) {
  const { limits, startMs = 5000, rereadMs = 25_000, retryMs = 30_000, figuresEveryMs = 2000 } = options
  const { log } = deps
  const listeners = new Set<(offer: GpuOffer) => void>()
  const known = new Map<string, GpuCard>()
  let figures: GpuFigures[] | null = null
  let cards: readonly GpuCard[] = []
  let isPlain = false
  let tookMs = 0
  /** A driver that is slow, or that has to be asked for each card, is left in peace for longer. */
  let isCostly = false

  async function read(timeoutMs: number, signal: AbortSignal | undefined): Promise<GpuOffer> {
    const startedAt = performance.now()
    const inventory = withVanished(await deps.read({ timeoutMs, signal }), known)
    tookMs = performance.now() - startedAt
    isCostly = inventory.state !== 'gpus' || inventory.lost.length > 0 || tookMs > startMs
    isPlain = inventory.state === 'gpus' && inventory.isPlain
    cards = inventory.state === 'gpus' ? inventory.cards : []
    for (const card of cards) known.set(keyOf(card), card)
    const next = toOffer(inventory, limits)
    figures = figuresOf(next, cards)
    return next
  }

  const fixed = offerWithoutReading(limits)
  let offer = fixed ?? (await read(startMs, deps.signal))
  report(offer, log)
  if (fixed === undefined) every(pauseMs, follow, closers, 'GPU watch')

  function pauseMs(): number {
    return isCostly ? Math.max(figuresEveryMs, retryMs - tookMs) : figuresEveryMs
  }

  async function follow(signal: AbortSignal): Promise<void> {
    if (isPlain && !isCostly && (await readFigures(signal))) return
    const next = await readAgain(signal)
    if (signal.aborted || isSame(next, offer)) return
    offer = next
    report(offer, log)
    for (const listener of [...listeners]) listener(offer)
  }

  /** Returns whether the figures are of the very cards that are known; anything else is for a full reading. */
  async function readFigures(signal: AbortSignal): Promise<boolean> {
    const read = await deps.probe.read({ signal }).catch(() => null)
    if (read === null || read.length !== cards.length) return false
    if (!cards.every(({ uuid }, rank) => read[rank]?.uuid === uuid && read[rank]?.reason === null)) return false
    const fresh = cards.map((card, rank) => ({
      ...card,
      figures: { ...(read[rank]?.figures ?? card.figures), index: card.index },
    }))
    cards = fresh
    figures = figuresOf(offer, fresh)
    return true
  }

  async function readAgain(signal: AbortSignal): Promise<GpuOffer> {
    try {
      return await read(rereadMs, signal)
    } catch (error) {
      figures = null
      return { state: 'unreadable', reason: messageOf(error) } // the cards are others than at the start
    }
  }

  return {
    get offer() {
      return offer
    },
    figures: () => figures,
    onChange(listener: (offer: GpuOffer) => void) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

function figuresOf(offer: GpuOffer, cards: readonly GpuCard[]): GpuFigures[] | null {
  if (offer.state !== 'gpus') return null
  const offered = new Set(offer.cards.map(({ key }) => key))
  return cards.filter((card) => offered.has(keyOf(card))).map((card) => card.figures)
}

/**
 * A card that was there before and is not even named any more is lost, and the others keep their indices: a driver that
 * counts again must not give two trainings the same card.
 */
function withVanished(inventory: GpuInventory, known: ReadonlyMap<string, GpuCard>): GpuInventory {
  if (inventory.state !== 'gpus' || known.size === 0) return inventory
  const { cards, lost } = inventory
  const isNamed = (one: GpuCard) =>
    cards.some((card) => keyOf(card) === keyOf(one)) ||
    lost.some(({ uuid, busId }) => (uuid ?? busId) !== null && (uuid === one.uuid || busId === one.busId))
  const gone = [...known.values()].filter((card) => !isNamed(card))
  if (gone.length === 0) return inventory
  const unplaced = lost.filter(({ index, busId, uuid }) => index !== null || busId !== null || uuid !== null)
  return {
    state: 'gpus',
    isPlain: false,
    cards: cards.map((card) => {
      const index = known.get(keyOf(card))?.index ?? card.index
      return { ...card, index, figures: { ...card.figures, index } }
    }),
    lost: [
      ...unplaced,
      ...gone.map(({ index, uuid, busId }) => ({ index, uuid, busId, reason: 'nvidia-smi does not list it any more' })),
    ],
  }
}

function isSame(a: GpuOffer, b: GpuOffer): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function report(offer: GpuOffer, log: Logger): void {
  const { state, reason } = offer
  if (state === 'none') {
    log.info({ reason }, 'no GPU to offer, so trainings run on the CPU slot, one at a time')
  } else if (state === 'unreadable') {
    log.warn({ reason }, 'GPUs cannot be read, so none is offered; they are read again every 30 s')
  } else {
    const gpus = offer.cards.map(({ index, name }) => ({ index, name }))
    if (reason === null) log.info({ gpus }, 'GPUs offered')
    else log.warn({ gpus, reason }, 'GPUs offered, but not all of them')
  }
}
