const TEXT_OR_NO_NUMBER = /"(?:[^"\\]|\\[\s\S])*"?|-?\b(?:NaN|Infinity)\b/g

/** Reads JSON in which Python may have written NaN or Infinity, as null; undefined if it is none, such as a half line. */
export function parsePythonJson(text: string): unknown {
  return tryJson(text) ?? tryJson(text.replace(TEXT_OR_NO_NUMBER, (part) => (part.startsWith('"') ? part : 'null')))
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
