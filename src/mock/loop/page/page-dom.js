// Everything that comes from nodes goes into the page as text or attribute, never as HTML.

/** Makes an element: `el('td', {class: 'x'}, 'text', child)`. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children)
}

/** As `el`, for SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children)
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'onclick') element.addEventListener('click', value)
    else if (value === true) element.setAttribute(key, '')
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, String(value))
  }
  element.append(...children.filter((child) => child !== null && child !== undefined))
  return element
}

export const byId = (id) => document.getElementById(id)

/** Replaces the content only when it has changed, so that a focused button stays focused. */
export function show(parent, ...children) {
  const next = el('div', {}, ...children)
  if (parent.innerHTML === next.innerHTML) return
  parent.replaceChildren(...next.childNodes)
}

/** Sets the choices of a select and keeps what is chosen. */
export function choices(select, options, fallback) {
  const chosen = select.value
  show(select, ...options.map(([value, label]) => el('option', { value }, label)))
  const has = (value) => options.some(([option]) => option === value)
  select.value = has(chosen) ? chosen : has(fallback) ? fallback : (options[0]?.[0] ?? '')
}

export function table(head, rows) {
  const header = el('tr', {}, ...head.map((title) => el('th', {}, title)))
  return el('table', {}, el('thead', {}, header), el('tbody', {}, ...rows))
}

export const percent = (value) => (value === null || value === undefined ? '–' : `${(value * 100).toFixed(1)} %`)
export const decimal = (value) => (value === null || value === undefined ? 'unknown' : value.toFixed(2))
export const time = (iso) =>
  iso ? new Date(iso).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' }) : '–'

/** Asks the API; a failed answer is thrown with its `detail` as the message. */
export async function api(path, method = 'GET', body = undefined) {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) })
  const answer = await response.json().catch(() => ({}))
  if (response.ok) return answer
  throw Object.assign(new Error(answer.detail ?? `The server answered ${response.status}.`), {
    status: response.status,
  })
}
