import { stringify } from 'yaml'

/**
 * YAML as readers of version 1.1 (PyYAML) understand it: every text is quoted, or `on` would be true and `12:30` a
 * number, and what they refuse or fold even inside quotes is escaped.
 */
export function stringifyForPython(value: Readonly<Record<string, unknown>>): string {
  const text = stringify(value, {
    defaultStringType: 'QUOTE_DOUBLE',
    defaultKeyType: 'PLAIN',
    doubleQuotedMinMultiLineLength: Number.POSITIVE_INFINITY,
    lineWidth: 0,
  })
  return escapeForPython(text)
}

// Control characters and byte order marks are refused by PyYAML; the line and paragraph separators end a line there.
const REFUSED = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g

/** The same for a document whose texts with such characters stand in double quotes. */
export function escapeForPython(text: string): string {
  return text.replace(REFUSED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
