import { api } from '/page/dom.js'

const MAX_LOG = 300_000

/** Follows a log within an element: what has come since the last time is added as text, and the oldest goes. */
export function createLogView(element, follow) {
  let shown
  let cursor

  /** `path` is that of the log in the API. */
  return async function showLog(path) {
    if (path !== shown) {
      shown = path
      cursor = undefined
      element.textContent = ''
    }
    const from = cursor === undefined ? '' : `?from=${encodeURIComponent(cursor)}`
    const { entries, cursor: next } = await api(`${path}${from}`)
    if (path !== shown) return
    cursor = next ?? undefined
    if (entries.length === 0) {
      if (cursor === undefined) element.textContent = 'Nothing has been logged yet.'
      return
    }
    if (from === '') element.textContent = ''
    const text = element.textContent + entries.map((entry) => withLineEnd(entry.text)).join('')
    element.textContent = text.slice(-MAX_LOG)
    if (follow.checked) element.scrollTop = element.scrollHeight
  }
}

function withLineEnd(text) {
  return text.endsWith('\n') ? text : `${text}\n`
}
