import { InvalidInputError } from '../../base/index.js'
import { type GpuCard, type GpuInventory, keyOf, nameOfLost } from './inventory.js'

/** What restricts the cards of a host to those that its worker offers. */
export type GpuLimits = {
  /** `--gpus`: indices and UUIDs; empty is the CPU slot, undefined all. */
  readonly flag?: readonly string[] | undefined
  /** CUDA_VISIBLE_DEVICES, CUDA_DEVICE_ORDER and NVIDIA_VISIBLE_DEVICES of the worker. */
  readonly cudaVisible?: string | undefined
  readonly cudaOrder?: string | undefined
  readonly nvidiaVisible?: string | undefined
}

export type OfferedGpu = {
  /** The same for the same card in every offer. */
  readonly key: string
  readonly index: number
  readonly name: string | null
  /** What names it in CUDA_VISIBLE_DEVICES: its index, or its UUID where CUDA may count otherwise. */
  readonly visible: string
}

/** What a worker offers its trainings. While GPUs are unreadable it offers none, and no CPU instead. */
export type GpuOffer =
  | { readonly state: 'none'; readonly reason: string }
  | { readonly state: 'unreadable'; readonly reason: string }
  | {
      readonly state: 'gpus'
      readonly cards: readonly OfferedGpu[]
      /** Why some of the wanted cards are missing. */
      readonly reason: string | null
    }

/** The offer of a host that is configured to offer no GPU; undefined where the cards decide. */
export function offerWithoutReading(limits: GpuLimits): GpuOffer | undefined {
  const none = (source: string): GpuOffer => ({ state: 'none', reason: `${source} leaves none` })
  if (limits.flag?.length === 0) return none('--gpus')
  const cuda = limits.cudaVisible
  if (cuda !== undefined && untilTheEnd(cuda).length === 0) return none(`CUDA_VISIBLE_DEVICES="${cuda}"`)
  const nvidia = limits.nvidiaVisible?.trim()
  if (nvidia === 'none' || nvidia === 'void') return none(`NVIDIA_VISIBLE_DEVICES=${nvidia}`)
  return undefined
}

/** What of the inventory the limits leave. Throws LF_INVALID_INPUT for a limit that names no card of this host. */
export function toOffer(inventory: GpuInventory, limits: GpuLimits): GpuOffer {
  if (inventory.state === 'unreadable') return inventory
  const wanted = limits.flag ?? []
  if (inventory.state === 'none') {
    if (wanted.length === 0) return inventory
    throw new InvalidInputError(
      `--gpus names ${wanted.join(',')}, but this host has no NVIDIA GPU (${inventory.reason}); leave the option out.`,
    )
  }
  const all = known(inventory)
  const left = [byNvidia, byCuda, byFlag].reduce((cards, limit) => limit(cards, all, limits), all)
  const cards = left.flatMap(({ card }) => (card === undefined ? [] : [card]))
  const missing = left.flatMap(({ lost }) => (lost === undefined ? [] : [lost]))
  const reason = missing.length === 0 ? null : missing.join('; ')
  if (cards.length === 0) return { state: 'unreadable', reason: reason ?? 'no GPU is left' }
  return { state: 'gpus', cards: cards.map((card) => toOffered(card, countsLikeCuda(inventory))), reason }
}

/** A card or a lost one, under the names by which it may be called. */
type Known = {
  readonly index: number | null
  readonly uuid: string | null
  readonly card?: GpuCard
  readonly lost?: string
}

function known({ cards, lost }: Extract<GpuInventory, { state: 'gpus' }>): Known[] {
  const readable = cards.map((card): Known => ({ index: card.index, uuid: card.uuid, card }))
  const others = lost.map((each): Known => {
    return { index: each.index, uuid: each.uuid, lost: `${nameOfLost(each)} is not usable: ${each.reason}` }
  })
  return [...readable, ...others].sort((a, b) => (a.index ?? Infinity) - (b.index ?? Infinity))
}

type Limit = (cards: readonly Known[], all: readonly Known[], limits: GpuLimits) => Known[]

// A container's runtime has applied indices and `all` already, and has counted the cards again.
const byNvidia: Limit = (cards, all, { nvidiaVisible = '' }) => {
  const entries = entriesOf(nvidiaVisible)
  if (entries.length === 0 || !entries.every((entry) => /^GPU-/i.test(entry))) return [...cards]
  return pick(entries, cards, all, 'NVIDIA_VISIBLE_DEVICES')
}

const byCuda: Limit = (cards, all, { cudaVisible, cudaOrder }) => {
  if (cudaVisible === undefined) return [...cards]
  const entries = untilTheEnd(cudaVisible)
  const readable = all.flatMap(({ card }) => (card === undefined ? [] : [card]))
  const models = new Set(readable.map(({ figures, index }) => figures.name ?? `unknown model of GPU ${index}`))
  // By default CUDA counts the fastest card as 0, and nvidia-smi does not show which one that is.
  if (models.size > 1 && cudaOrder !== 'PCI_BUS_ID' && entries.some(isIndex)) {
    throw new InvalidInputError(
      `CUDA_VISIBLE_DEVICES is "${cudaVisible}", but the models of this host's GPUs differ, so its indices depend on ` +
        `CUDA_DEVICE_ORDER; set that to PCI_BUS_ID, or name UUIDs: ${listOf(all)}.`,
    )
  }
  refuseTwice(entries, all)
  return pick(entries, cards, all, 'CUDA_VISIBLE_DEVICES')
}

/** CUDA shows no card at all for a list that names one twice: the list is a mistake. */
function refuseTwice(entries: readonly string[], all: readonly Known[]): void {
  const named = new Map<Known, string>()
  for (const entry of entries) {
    const [card, ...others] = all.filter((each) => isMeant(entry, each))
    if (card === undefined || others.length > 0) continue // refused as unknown or ambiguous
    const before = named.get(card)
    if (before !== undefined) {
      throw new InvalidInputError(
        `CUDA_VISIBLE_DEVICES names one card twice, by "${before}" and by "${entry}"; CUDA would show none. This host has ${listOf(all)}.`,
      )
    }
    named.set(card, entry)
  }
}

const byFlag: Limit = (cards, all, { flag }) => (flag === undefined ? [...cards] : pick(flag, cards, all, '--gpus'))

function pick(entries: readonly string[], cards: readonly Known[], all: readonly Known[], source: string): Known[] {
  const picked = new Set(entries.flatMap((entry) => find(entry, cards, all, source)))
  return cards.filter((card) => picked.has(card))
}

/** The one card that is meant; a lost card of which nobody says which one it was may be meant, too. */
function find(entry: string, cards: readonly Known[], all: readonly Known[], source: string): readonly Known[] {
  const found = all.filter((each) => isMeant(entry, each))
  const [only] = found
  if (only !== undefined && found.length === 1) {
    if (cards.includes(only)) return [only]
    throw new InvalidInputError(
      `${source} names GPU ${entry}, which NVIDIA_VISIBLE_DEVICES or CUDA_VISIBLE_DEVICES of this worker leaves out; ` +
        `it may offer ${listOf(cards)}.`,
    )
  }
  const maybe = cards.filter(({ card, index, uuid }) => card === undefined && (isIndex(entry) ? index : uuid) === null)
  if (found.length === 0 && maybe.length > 0) return maybe
  const what = found.length > 1 ? 'is the start of several UUIDs' : 'is no GPU of this host'
  const part = /^MIG-/i.test(entry) ? ' (a part of a card cannot be offered, only whole cards)' : ''
  throw new InvalidInputError(`${source} names "${entry}", which ${what}${part}; it has ${listOf(all)}.`)
}

function isMeant(entry: string, { index, uuid }: Known): boolean {
  if (isIndex(entry)) return index === Number(entry)
  return /^GPU-./i.test(entry) && uuid?.toLowerCase().startsWith(entry.toLowerCase()) === true
}

function listOf(cards: readonly Known[]): string {
  const names = cards.map(({ index, uuid, card, lost }) => {
    const what = [card?.figures.name ?? lost, uuid].filter(Boolean).join(', ')
    return `${index ?? '?'} (${what})`
  })
  return names.join(', ') || 'none'
}

function isIndex(entry: string): boolean {
  return /^\d+$/.test(entry)
}

function entriesOf(list: string): string[] {
  return list
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean)
}

/** As CUDA reads its variable: the first entry that can name no card ends the list. */
function untilTheEnd(list: string): string[] {
  const entries = entriesOf(list)
  const end = entries.findIndex((entry) => /^-\d+$/.test(entry) || entry === 'NoDevFiles')
  return end < 0 ? entries : entries.slice(0, end)
}

// CUDA counts only what it can use, and cards with parts in its own way; a UUID names the card in any case.
function countsLikeCuda({ cards, lost }: Extract<GpuInventory, { state: 'gpus' }>): boolean {
  return lost.length === 0 && cards.every((card, rank) => card.index === rank && !card.isPartitioned)
}

function toOffered(card: GpuCard, isCounted: boolean): OfferedGpu {
  const index = String(card.index)
  const visible = isCounted ? index : (card.uuid ?? index)
  return { key: keyOf(card), index: card.index, name: card.figures.name, visible }
}
