import { at, textAt, toFigures } from './figures.js'
import type { GpuCard, LostCard } from './inventory.js'

/** One `<gpu>` of an answer to `nvidia-smi -q -x`, before its rank is known. */
export type ReadCard = Omit<GpuCard, 'index'> & { readonly reason: string | null }

export type SmiXml = {
  readonly cards: readonly ReadCard[]
  /** How many cards the driver counts; null when the answer does not say. */
  readonly attached: number | null
  /** Cards that are only named in an error beside the XML. */
  readonly named: readonly Omit<LostCard, 'index'>[]
  /** The text outside of the cards says that there is none. */
  readonly saysNone: boolean
  /** What stands outside of the XML, for people. */
  readonly remarks: readonly string[]
}

const PARSER = { explicitArray: false, trim: true } as const

/**
 * Reads what nvidia-smi has printed, card by card, so that a broken one costs only itself: text before, between and
 * after the cards is allowed, and so is an end in the middle. `errors` is what it has written to stderr.
 */
export async function readSmiXml(output: string, errors = ''): Promise<SmiXml> {
  const text = withoutControls(output)
  // `<gpu>` or `<gpu id=…>`, but not `<gpu_reset_status>`.
  const [head = '', ...blocks] = text.split(/<gpu(?=[\s>])/)
  const isFinished = text.includes('</nvidia_smi_log>')
  const cards = await Promise.all(
    blocks.map(async (block, index): Promise<ReadCard> => {
      const card = await readCard(`<gpu${block.split(/<\/gpu>|<\/nvidia_smi_log>/)[0] ?? ''}`)
      const isTorn = !block.includes('</gpu>') && !isFinished && index === blocks.length - 1
      return isTorn ? { ...card, reason: 'nvidia-smi ended in the middle of it' } : card
    }),
  )
  const beside = [head, ...blocks.map((block) => block.split('</gpu>').slice(1).join(''))].join('\n')
  const remarks = beside
    .replace(/<[^>]*>[^<\n]*<\/[^>]*>|<[^>]*>/g, '')
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
  const attached = /<attached_gpus>\s*(\d+)/.exec(beside)?.[1]
  return {
    cards,
    attached: attached === undefined ? null : Number(attached),
    named: [...remarks, ...errors.split('\n')].flatMap(namedIn),
    saysNone: remarks.some((line) => /^no devices were found/i.test(line)) || (attached === '0' && blocks.length === 0),
    remarks,
  }
}

/** The cards of an answer that was parsed as one document, as node-nvidia-smi does it; null when it lists none. */
export function toReadCards(answer: unknown): readonly ReadCard[] | null {
  const gpu = at(answer, 'nvidia_smi_log', 'gpu')
  if (gpu === undefined) return null
  // One GPU is an object, several are a list.
  const list: readonly unknown[] = Array.isArray(gpu) ? gpu : [gpu]
  return list.map((each) => toReadCard(each, JSON.stringify(each) ?? ''))
}

async function readCard(inner: string): Promise<ReadCard> {
  // Names of processes may hold anything, and nobody here needs them.
  const body = inner.replace(/<(processes|accounted_processes)>[\s\S]*?<\/\1>/g, '')
  return toReadCard(at(await parse(`${body}</gpu>`), 'gpu'), body)
}

function toReadCard(gpu: unknown, body: string): ReadCard {
  const uuid = textAt(gpu, 'uuid')
  return {
    uuid: uuid !== null && /^GPU-/i.test(uuid) ? uuid : null,
    busId: toBusId(textAt(gpu, '$', 'id') ?? textAt(gpu, 'pci', 'pci_bus_id')),
    isPartitioned: textAt(gpu, 'mig_mode', 'current_mig') === 'Enabled',
    figures: toFigures(gpu, 0),
    reason: faultOf(gpu, body),
  }
}

/** Strictly first; a part that is no XML (a raw `<` or `&`, a tag that is not closed) is read loosely. */
async function parse(xml: string): Promise<unknown> {
  const { parseStringPromise } = await import('xml2js') // only hosts with GPUs need it
  try {
    return await parseStringPromise(xml, PARSER)
  } catch {
    return await parseStringPromise(xml, { ...PARSER, strict: false, normalizeTags: true }).catch(() => undefined)
  }
}

// What a card that answers says of itself, and what stands where it does not.
function faultOf(gpu: unknown, body: string): string | null {
  const lost = /\[?(GPU is lost|GPU requires reset|GPU has fallen off the bus)/i.exec(body)?.[1]
  if (lost !== undefined) return lost
  if (textAt(gpu, 'gpu_reset_status', 'reset_required') === 'Yes') return 'GPU requires reset'
  const action = textAt(gpu, 'gpu_recovery_action')
  if (action !== null && /^(gpu |node )?(reset|reboot)$/i.test(action)) return `GPU requires: ${action}`
  for (const path of [['uuid'], ['fb_memory_usage', 'total']]) {
    const value = textAt(gpu, ...path)
    if (value !== null && /unknown error|^\[?err!?\]?$/i.test(value)) return `its ${path.join(' ')} is "${value}"`
  }
  return textAt(gpu, 'uuid') === null && textAt(gpu, 'product_name') === null
    ? 'its part of the answer is broken'
    : null
}

/** `Unable to determine the device handle for GPU0000:02:00.0: Unknown Error`, in the spellings of all drivers. */
function namedIn(line: string): Omit<LostCard, 'index'>[] {
  if (!/unable to (determine|detect) the device handle|is lost|requires reset|fallen off/i.test(line)) return []
  const busId = toBusId(/[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]/i.exec(line)?.[0] ?? null)
  return [{ uuid: null, busId, reason: line.replace(/^.*?device handle for (gpu)?\s*[0-9a-f:.]+:\s*/i, '') || line }]
}

/** `00000000:0B:00.0` and `0000:0b:00.0` are the same card. */
function toBusId(text: string | null): string | null {
  const match = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2}\.[0-9a-f])$/i.exec(text ?? '')
  const domain = match?.[1]?.replace(/^0+(?=.{4})/, '')
  return match === null ? null : `${domain}:${match[2]}:${match[3]}`.toLowerCase()
}

/** XML allows no control characters but tab and the ends of lines; a torn serial number may hold some. */
export function withoutControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '').replaceAll('\r\n', '\n')
}
