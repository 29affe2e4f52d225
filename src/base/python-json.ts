const BYTE_ORDER_MARK = '\uFEFF'

/**
 * Parses JSON as Python writes it: a byte order mark in front is skipped, and NaN, Infinity and -Infinity, which are no
 * JSON, are read as null. Throws a SyntaxError for anything else that JSON does not allow.
 */
export function parsePythonJson(text: string): unknown {
  const bare = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text
  try {
    return JSON.parse(bare)
  } catch (error) {
    const numbers = bare.replace(STRING_OR_NO_NUMBER, (found) => (found.startsWith('"') ? found : 'null'))
    if (numbers === bare) throw error
    return JSON.parse(numbers)
  }
}

// Strings are matched first, so that a name such as "NaN" stays.
const STRING_OR_NO_NUMBER = /"(?:[^"\\]|\\[\s\S])*"?|-?\b(?:NaN|Infinity)\b/g
