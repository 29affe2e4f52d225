import { InvalidArgumentError } from 'commander'

/** Parsers of flags; a bad value ends with commander's sentence, which names flag and value. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (Number.isInteger(value) && value >= min && value <= max) return value
    const range = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `between ${min} and ${max}`
    throw new InvalidArgumentError(`It must be a whole number, ${range}.`)
  }
}

/** A number from 0 to 1. */
export function share(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (value >= 0 && value <= 1) return value
  throw new InvalidArgumentError('It must be a number from 0 to 1.')
}

export const portNumber = wholeNumber(0, 65_535)

/** `0,1` or `GPU-…` → indices and UUIDs; `none` → the CPU slot. */
export function gpuList(text: string): string[] {
  if (text === 'none') return []
  const entries = text.split(',').map((entry) => entry.trim())
  if (entries.every((entry) => /^\d+$|^GPU-[0-9a-f-]+$/i.test(entry))) return [...new Set(entries)]
  throw new InvalidArgumentError('It must be a list of GPU indices and UUIDs such as 0,1 or GPU-8f6d, or "none".')
}

/** For options that may be given several times. */
export function collect(value: string, earlier: string[] = []): string[] {
  return [...earlier, value]
}
