// Everything that comes from the fleet goes into the page as text or attribute, never as HTML.

/** Makes an element: `el('td', {class: 'x'}, 'text', child)`. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, '')
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, String(value))
  }
  element.append(...children.filter((child) => child !== null && child !== undefined))
  return element
}

export const byId = (id) => document.getElementById(id)

/** Replaces the content only when it has changed, so that a selection or a focused button stays. */
export function show(parent, ...children) {
  const next = el('div', {}, ...children)
  if (parent.innerHTML === next.innerHTML) return
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.key : undefined
  parent.replaceChildren(...next.childNodes)
  if (focused !== undefined) parent.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus()
}

/** `head` holds titles; one that begins with # is of numbers. Cells know theirs, for narrow screens that show no head. */
export function table(head, rows) {
  for (const row of rows) {
    head.forEach((title, index) => {
      const cell = row.cells[index]
      if (cell !== undefined && title !== '') cell.dataset.title = title.replace('#', '')
    })
  }
  const titles = head.map((title) =>
    title.startsWith('#') ? el('th', { class: 'number' }, title.slice(1)) : el('th', {}, title),
  )
  return el('table', {}, el('thead', {}, el('tr', {}, ...titles)), el('tbody', {}, ...rows))
}

export const empty = (text) => el('p', { class: 'empty' }, text)
export const words = (text) => text.replaceAll('_', ' ')
export const percent = (share) => (isNumber(share) ? `${Math.round(share * 100)} %` : '–')
export const figure = (value, unit, digits = 0) => (isNumber(value) ? `${value.toFixed(digits)} ${unit}` : '–')
export const isNumber = (value) => typeof value === 'number' && Number.isFinite(value)

/** `3 s`, `12 min`, `5 h`, `4 d`. */
export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

export function bytes(value) {
  if (!isNumber(value)) return '–'
  const power = Math.min(4, value < 1 ? 0 : Math.floor(Math.log(value) / Math.log(1024)))
  return `${(value / 1024 ** power).toFixed(power < 3 ? 0 : 1)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`
}

export function bar(share, label) {
  const value = Math.min(1, Math.max(0, share))
  return el('progress', { value, max: 1, 'aria-label': label })
}

/** Asks the API; a failed answer is thrown with its `detail` as the message. */
export async function api(path, method = 'GET') {
  const response = await fetch(path, { method, signal: AbortSignal.timeout(10_000) })
  const answer = await response.json().catch(() => ({}))
  if (response.ok) return answer
  throw new Error(answer.detail ?? `The dashboard answered ${response.status}.`)
}
