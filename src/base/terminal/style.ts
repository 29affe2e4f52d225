/** How a piece of text looks: parameters of SGR by what they change; empty is plain. */
export type Style = Readonly<Partial<Record<Slot, string>>>

type Slot = 'bold' | 'dim' | 'italic' | 'underline' | 'inverse' | 'struck' | 'text' | 'background' | 'underlineColour'

export const PLAIN: Style = {}

const SIMPLE: Readonly<Record<string, Slot>> = {
  1: 'bold',
  2: 'dim',
  3: 'italic',
  4: 'underline',
  7: 'inverse',
  9: 'struck',
  21: 'underline',
}
const ENDS: Readonly<Record<string, readonly Slot[]>> = {
  22: ['bold', 'dim'],
  23: ['italic'],
  24: ['underline'],
  27: ['inverse'],
  29: ['struck'],
  39: ['text'],
  49: ['background'],
  59: ['underlineColour'],
}
const LONG: Readonly<Record<string, Slot>> = { 38: 'text', 48: 'background', 58: 'underlineColour' }

/** The style after SGR with these parameters. What hides text or blinks, and what we do not know, changes nothing. */
export function applySgr(style: Style, parameters: string): Style {
  if (!/^[\d;:]*$/.test(parameters)) return style
  const waiting = parameters.split(';')
  let result: Style = style
  for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) result = apply(result, item, waiting)
  return result
}

/** The style as SGR writes it, without ESC [ and m; empty for plain text. */
export function sgrOf(style: Style): string {
  return Object.values(style).join(';')
}

function apply(style: Style, item: string, waiting: string[]): Style {
  const [code = '', ...details] = item.split(':')
  const number = Number(code)
  if (number === 0) return PLAIN
  const long = LONG[number]
  if (long !== undefined) {
    const colour = details.length > 0 ? colourOf(details) : colourOf(takeColour(waiting))
    return colour === undefined ? style : { ...style, [long]: `${number};${colour}` }
  }
  const ended = number === 4 && details[0] === '0' ? ENDS[24] : ENDS[number]
  if (ended !== undefined) return without(style, ended)
  const slot = SIMPLE[number] ?? basicColour(number)
  return slot === undefined ? style : { ...style, [slot]: String(number) }
}

function basicColour(code: number): Slot | undefined {
  const tens = Math.floor(code / 10)
  if (code % 10 > 7) return undefined
  if (tens === 3 || tens === 9) return 'text'
  return tens === 4 || tens === 10 ? 'background' : undefined
}

function takeColour(waiting: string[]): string[] {
  return waiting.splice(0, waiting[0] === '2' ? 4 : 2)
}

/** `5;N` or `2;R;G;B`; colons may have an empty colour space before red. */
function colourOf([kind, ...values]: readonly string[]): string | undefined {
  const numbers = (kind === '2' && values.length > 3 ? values.slice(1, 4) : values).map(Number)
  const wanted = kind === '2' ? 3 : kind === '5' ? 1 : 0
  if (wanted === 0 || numbers.length < wanted || numbers.some((value) => !(value <= 255))) return undefined
  return [kind, ...numbers.slice(0, wanted)].join(';')
}

function without(style: Style, slots: readonly Slot[]): Style {
  return Object.fromEntries(Object.entries(style).filter(([slot]) => !slots.some((each) => each === slot)))
}
