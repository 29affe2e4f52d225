/** What a trainer file says about one hyperparameter. */
export type HyperparameterDeclaration = {
  readonly type: 'int' | 'number' | 'bool' | 'text' | 'categories'
  readonly default?: number | boolean | string
  readonly min?: number
  readonly max?: number
  readonly choices?: readonly string[]
  readonly values: 'number' | 'category'
}
/** `text` is undefined when the order leaves the value open. `problem` completes "the value …". */
export type ConvertedValue =
  | { readonly ok: true; readonly text: string | undefined }
  | { readonly ok: false; readonly problem: string }

type Bounds = Pick<HyperparameterDeclaration, 'min' | 'max'>

// Neither an option nor a path: no dash or dot in front, no slash, no quotes, no control characters.
const SAFE_TEXT = /^[\p{L}\p{N}_][\p{L}\p{N}_.+ -]{0,199}$/u
const WHOLE = /^[+-]?\d{1,15}(\.0*)?$/
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i

/** Whether a text of the Loop can stand in an argument without becoming an option or a path. */
export function isSafeText(text: string): boolean {
  return SAFE_TEXT.test(text)
}

/**
 * Makes what the Loop sent (often as text) into the text that stands on a command line. Nothing, null and an empty text
 * leave the value open. Categories are given by id; their text has the class index instead.
 */
export function convertHyperparameter(
  declaration: HyperparameterDeclaration,
  value: unknown,
  categoryIds: readonly string[],
): ConvertedValue {
  const given = typeof value === 'string' ? value.trim() : value
  if (given === undefined || given === null || given === '') return { ok: true, text: undefined }
  switch (declaration.type) {
    case 'int':
      return toWhole(given, declaration)
    case 'number':
      return toDecimal(given, declaration)
    case 'bool':
      return toBool(given)
    case 'text':
      return toText(given, declaration.choices)
    case 'categories':
      return toClassPairs(given, declaration.values, categoryIds)
    default:
      return declaration.type satisfies never
  }
}

function toWhole(given: unknown, bounds: Bounds): ConvertedValue {
  const text = typeof given === 'number' ? String(given) : given
  if (typeof text !== 'string' || !WHOLE.test(text)) return { ok: false, problem: 'must be a whole number' }
  return withinBounds(Number(text), bounds)
}

function toDecimal(given: unknown, bounds: Bounds): ConvertedValue {
  const text = typeof given === 'number' ? String(given) : given
  if (typeof text !== 'string' || !NUMBER.test(text)) return { ok: false, problem: 'must be a number' }
  return withinBounds(Number(text), bounds)
}

function withinBounds(number: number, { min, max }: Bounds): ConvertedValue {
  if (!Number.isFinite(number)) return { ok: false, problem: 'must be a number' }
  if (min !== undefined && number < min) return { ok: false, problem: `must be at least ${min}` }
  if (max !== undefined && number > max) return { ok: false, problem: `must be at most ${max}` }
  return { ok: true, text: String(number) }
}

function toBool(given: unknown): ConvertedValue {
  const text = String(given).toLowerCase()
  if (text === 'true' || text === '1') return { ok: true, text: 'true' }
  if (text === 'false' || text === '0') return { ok: true, text: 'false' }
  return { ok: false, problem: 'must be true or false' }
}

function toText(given: unknown, choices: readonly string[] | undefined): ConvertedValue {
  const text = typeof given === 'string' ? given : JSON.stringify(given)
  if (choices !== undefined) {
    return choices.includes(text) ? { ok: true, text } : { ok: false, problem: `must be one of ${choices.join(', ')}` }
  }
  const problem = 'must start with a letter or digit and hold only letters, digits, spaces, _ . + and -'
  return isSafeText(text) ? { ok: true, text } : { ok: false, problem }
}

/** `id:0.03,id:0.1` (or an object) becomes `0:0.03,2:0.1`; with categories behind the colon `id:id` becomes `0:2`. */
function toClassPairs(
  given: unknown,
  values: HyperparameterDeclaration['values'],
  categoryIds: readonly string[],
): ConvertedValue {
  const pairs: string[] = []
  for (const [id, value] of pairsOf(given)) {
    const problem = `must be a list of ${values === 'number' ? 'category id:number' : 'category id:category id'}`
    const index = categoryIds.indexOf(id)
    if (index < 0) return { ok: false, problem: `${problem}; ${JSON.stringify(id.slice(0, 60))} is no category id` }
    const target = values === 'number' ? numberText(value) : indexText(categoryIds.indexOf(value))
    if (target === undefined) return { ok: false, problem: `${problem}, got ${JSON.stringify(value.slice(0, 60))}` }
    pairs.push(`${index}:${target}`)
  }
  return { ok: true, text: pairs.length === 0 ? undefined : pairs.join(',') }
}

function pairsOf(given: unknown): [string, string][] {
  if (typeof given === 'object' && given !== null) {
    return Object.entries(given).map(([id, value]) => [id, String(value)])
  }
  const items = String(given)
    .split(',')
    .map((item) => item.trim())
  return items
    .filter((item) => item !== '')
    .map((item) => {
      const colon = item.lastIndexOf(':')
      return [item.slice(0, Math.max(0, colon)).trim(), item.slice(colon + 1).trim()]
    })
}

function numberText(text: string): string | undefined {
  return NUMBER.test(text) && Number.isFinite(Number(text)) ? String(Number(text)) : undefined
}

function indexText(index: number): string | undefined {
  return index < 0 ? undefined : String(index)
}
