import { parsePythonJson as parse } from '../../base/index.js'

/** Reads JSON in which Python may have written NaN or Infinity, as null; undefined if it is none, such as a half line. */
export function parsePythonJson(text: string): unknown {
  try {
    return parse(text)
  } catch {
    return undefined
  }
}
