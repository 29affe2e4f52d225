/**
 * A Huffman table of a JPEG, indexed by the next bits of the data. An entry holds how many bits are consumed, with
 * those of the values behind the codes, and `coefficients << 5`; 0 means no code.
 */
export type HuffmanTable = {
  /** By sixteen bits: their first code. */
  readonly first: Uint16Array
  /** By twelve bits: all codes that lie within them, up to the end of a block. */
  readonly several: Uint16Array
}

/** The end of a block counts as so many coefficients that nothing else reaches it. */
export const END_OF_BLOCK = 256
const ZEROS = 0xf0
const SEVERAL_BITS = 12
const BLOCK = 64

/** Of a definition as a file has it: sixteen counts, one for each length of a code, then the symbols. */
export function huffmanTable(definition: Uint8Array, kind: 'dc' | 'ac'): HuffmanTable {
  const meaningOf = kind === 'dc' ? dcMeaning : acMeaning
  const first = new Uint16Array(0x10000)
  let from = 0
  let next = 16
  for (let length = 1; length <= 16; length++) {
    for (let left = definition[length - 1] ?? 0; left > 0; left--) {
      const meaning = meaningOf(definition[next] ?? 0)
      next += 1
      const to = from + (0x10000 >> length)
      if (meaning !== undefined) first.fill((length + meaning.valueBits) | (meaning.coefficients << 5), from, to)
      from = to
    }
  }
  return { first, several: kind === 'dc' ? first : severalOf(first) }
}

type Meaning = { readonly valueBits: number; readonly coefficients: number }

function dcMeaning(symbol: number): Meaning {
  return { valueBits: symbol, coefficients: 1 }
}

function acMeaning(symbol: number): Meaning | undefined {
  if (symbol === 0) return { valueBits: 0, coefficients: END_OF_BLOCK }
  const valueBits = symbol & 15
  if (valueBits === 0 && symbol !== ZEROS) return undefined
  return { valueBits, coefficients: (symbol >> 4) + 1 }
}

function severalOf(first: Uint16Array): Uint16Array {
  const several = new Uint16Array(1 << SEVERAL_BITS)
  for (let window = 0; window < several.length; window++) {
    let bits = 0
    let coefficients = 0
    while (coefficients < BLOCK) {
      const entry = first[(window << (16 - SEVERAL_BITS + bits)) & 0xffff] ?? 0
      if (entry === 0 || bits + (entry & 31) > SEVERAL_BITS) break
      bits += entry & 31
      coefficients += entry >> 5
    }
    several[window] = bits | (coefficients << 5)
  }
  return several
}
