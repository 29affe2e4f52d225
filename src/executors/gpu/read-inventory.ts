import type { NvidiaSmi, SmiAnswer } from './ask-nvidia-smi.js'
import type { GpuFigures } from './figures.js'
import type { HardwareSigns } from './hardware-signs.js'
import type { GpuCard, GpuInventory, LostCard } from './inventory.js'
import { type ReadCard, readSmiXml, type SmiXml, withoutControls } from './smi-xml.js'

export type ReadInventoryDeps = {
  readonly smi: NvidiaSmi
  readonly hardwareSigns: () => Promise<HardwareSigns>
}

export type ReadOptions = { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined }

/** Reads the host's GPUs within the time-out. Never throws for what the tool does. */
export async function readInventory(options: ReadOptions, deps: ReadInventoryDeps): Promise<GpuInventory> {
  const until = performance.now() + options.timeoutMs
  const ask = (args: readonly string[]) =>
    deps.smi.ask(args, { signal: options.signal, timeoutMs: Math.max(1, until - performance.now()) })
  const answer = await ask(['-q', '-x'])
  if (answer.kind !== 'ended') return await withoutAnswer(answer, options, deps)
  const xml = await readSmiXml(answer.stdout, answer.stderr)
  const isComplete = isWhole(xml) && !answer.isCut
  const cards = isComplete ? xml.cards : await fill(xml, answer, ask)
  if (cards.some((card) => card.reason === null)) {
    const lost = lostBeside(xml, cards)
    return toList(cards, lost, isComplete && lost.length === 0 && isForThePackage(answer))
  }
  const found = await deps.hardwareSigns()
  const first = cards.find((card) => card.reason !== null)
  if (first === undefined && xml.saysNone && found.length === 0) {
    return { state: 'none', reason: 'nvidia-smi lists no GPU, and the kernel shows none' }
  }
  const why = first === undefined ? whyNothing(answer, xml) : `${first.busId ?? 'its only GPU'}: ${first.reason}`
  return unreadable(why, found)
}

/** What node-nvidia-smi takes: nothing on stderr, code 0, less than the buffer of `exec`. */
function isForThePackage({ stdout, stderr, exitCode, isOnPath }: Extract<SmiAnswer, { kind: 'ended' }>): boolean {
  return isOnPath && exitCode === 0 && stderr === '' && stdout.length < 1_000_000
}

// A tool that is missing is no proof: the driver's package may be broken, or the container was given no tools.
async function withoutAnswer(
  answer: Exclude<SmiAnswer, { kind: 'ended' }>,
  { timeoutMs }: ReadOptions,
  deps: ReadInventoryDeps,
): Promise<GpuInventory> {
  const found = await deps.hardwareSigns()
  switch (answer.kind) {
    case 'absent':
      if (found.length > 0) return unreadable('nvidia-smi is not installed', found)
      return { state: 'none', reason: 'there is no nvidia-smi, and the kernel shows no NVIDIA card' }
    case 'late': {
      const what = answer.isStuck ? 'hangs in the driver, where no signal ends it' : 'did not answer'
      return unreadable(`nvidia-smi ${what} (${Math.round(timeoutMs / 1000)} s)`, found)
    }
    case 'not-started':
      return unreadable(`nvidia-smi cannot be started: ${answer.reason}`, found)
    default:
      return answer satisfies never
  }
}

function unreadable(why: string, signs: HardwareSigns): GpuInventory {
  const seen = signs[0] ?? 'the kernel shows no NVIDIA card'
  return { state: 'unreadable', reason: `${why.replace(/[.\s]+$/, '')}; ${seen}` }
}

function whyNothing({ exitCode, stdout, stderr }: Extract<SmiAnswer, { kind: 'ended' }>, xml: SmiXml): string {
  const said = [...xml.remarks, ...withoutControls(stderr).split('\n')].map((line) => line.trim()).find(Boolean)
  const how = exitCode === null ? 'was ended by a signal' : `ended with code ${exitCode}`
  if (said !== undefined) return `nvidia-smi ${how}: ${said.slice(0, 300)}`
  return `nvidia-smi ${how} ${stdout === '' ? 'and printed nothing' : 'and listed no readable GPU'}`
}

function isWhole({ cards, attached, named }: SmiXml): boolean {
  if (cards.length === 0 || named.length > 0) return false
  return cards.every(({ reason }) => reason === null) && (attached === null || attached === cards.length)
}

type Ask = (args: readonly string[]) => Promise<SmiAnswer>

/**
 * One card that is lost may end the whole answer, while the others work on: those that `-L` still lists are asked for
 * one by one.
 */
async function fill(xml: SmiXml, answer: SmiAnswer, ask: Ask): Promise<readonly ReadCard[]> {
  if (answer.kind === 'ended' && xml.cards.length === 0 && xml.named.length === 0 && xml.attached === null) return []
  const list = await ask(['-L'])
  if (list.kind !== 'ended') return xml.cards
  const cards = [...xml.cards]
  for (const { name, uuid } of listed(list.stdout)) {
    const isIt = (card: ReadCard) => card.uuid?.toLowerCase() === uuid.toLowerCase()
    if (cards.find(isIt)?.reason === null) continue
    const single = await ask(['-q', '-x', '-i', uuid])
    const answered = single.kind === 'ended' ? (await readSmiXml(single.stdout)).cards : []
    const card = answered.find(isIt) ?? bare(name, uuid)
    const at = cards.findIndex((each) => isIt(each) || (each.busId !== null && each.busId === card.busId))
    if (at >= 0) cards[at] = card
    else cards.push(card)
  }
  return withoutTorn(cards, xml)
}

// The start of a card that was read again on its own names no uuid; there are no more cards than the driver counts.
function withoutTorn(cards: readonly ReadCard[], { attached }: SmiXml): readonly ReadCard[] {
  const most = attached ?? cards.length
  const readable = cards.filter(({ reason }) => reason === null)
  return readable.length >= most ? readable : cards
}

/** `GPU 0: NVIDIA L4 (UUID: GPU-…)`; parts of a card (MIG) are indented. */
function listed(text: string): { readonly name: string; readonly uuid: string }[] {
  return [...text.matchAll(/^GPU \d+: (.*) \(UUID: (GPU-[0-9a-f-]+)\)/gim)].map(([, name = '', uuid = '']) => {
    return { name, uuid }
  })
}

/** A card of which only `-L` knows: it can be lent, and nobody knows its figures. */
function bare(name: string, uuid: string): ReadCard {
  const figures: GpuFigures = {
    ...{ index: 0, name, utilizationPercent: null, memoryUsedBytes: null, memoryTotalBytes: null },
    ...{ temperatureCelsius: null, powerWatts: null },
  }
  return { uuid, busId: null, isPartitioned: false, figures, reason: null }
}

/** Cards that the driver counts or names and does not describe. */
function lostBeside(xml: SmiXml, cards: readonly ReadCard[]): Omit<LostCard, 'index'>[] {
  const known = new Set(cards.map(({ busId }) => busId))
  const named = xml.named.filter(({ busId }) => busId === null || !known.has(busId))
  const unnamed = Math.max(0, (xml.attached ?? 0) - cards.length - named.length)
  const missing = { uuid: null, busId: null, reason: 'nvidia-smi counts it and does not describe it' }
  return [...named, ...Array.from({ length: unnamed }, () => missing)]
}

function toList(cards: readonly ReadCard[], beside: Omit<LostCard, 'index'>[], isPlain: boolean): GpuInventory {
  const all = [...cards, ...beside.map((each) => ({ ...each, figures: undefined, isPartitioned: false }))]
  // Where every card has its bus id, also a lost one, their order is known; else as they are listed.
  const isOrdered = all.every(({ busId }) => busId !== null)
  if (isOrdered) all.sort((a, b) => (String(a.busId) < String(b.busId) ? -1 : 1))
  const readable: GpuCard[] = []
  const lost: LostCard[] = []
  for (const [index, { figures, reason, uuid, busId, isPartitioned }] of all.entries()) {
    if (reason === null && figures !== undefined) {
      readable.push({ index, uuid, busId, isPartitioned, figures: { ...figures, index } })
    } else {
      const isPlaced = isOrdered || figures !== undefined
      lost.push({ index: isPlaced ? index : null, uuid, busId, reason: reason ?? 'it is not described' })
    }
  }
  return { state: 'gpus', cards: readable, lost, isPlain }
}
