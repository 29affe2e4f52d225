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

export const portNumber = wholeNumber(0, 65_535)

/** `0,1` → GPU indices; `none` → the CPU slot. */
export function gpuList(text: string): number[] {
  if (text === 'none') return []
  const indices = text.split(',').map(Number)
  if (indices.every((index) => Number.isInteger(index) && index >= 0)) return [...new Set(indices)]
  throw new InvalidArgumentError('It must be a list of GPU indices such as 0,1, or "none".')
}

/** For options that may be given several times. */
export function collect(value: string, earlier: string[] = []): string[] {
  return [...earlier, value]
}
