import { api, byId, choices, el, show, svg } from './page-dom.js'
import { drawingUrl } from './page-drawing.js'
import { createInputQueue } from './page-input.js'

const PAGE = 12
const EVERY_MS = 2000
const frontendId = `page-${Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join('')}`

let project
let offset = 0
let image
let annotator = ''

const stage = byId('annotate-stage')
const input = createInputQueue({
  send: (node, data) => api(`${nodePath(node)}/user-input`, 'POST', { frontend_id: frontendId, data }),
  onAnswer,
})

byId('annotate-previous').addEventListener('click', () => turnPage(-1))
byId('annotate-next').addEventListener('click', () => turnPage(1))
byId('project').addEventListener('change', () => look())
byId('annotate-node').addEventListener('change', () => changeAnnotator())
byId('annotate-images').addEventListener('click', (event) => {
  const id = event.target.closest('button')?.dataset.image
  if (id !== undefined) open(id)
})
addEventListener('pagehide', () => logOut(annotator))

stage.addEventListener('pointerdown', (event) => {
  stage.focus({ preventScroll: true })
  if (stage.setPointerCapture && event.isTrusted) stage.setPointerCapture(event.pointerId)
  if (event.button === 0) say('left_mouse_down', event)
  if (event.button === 2) say('right_mouse_down', event)
  event.preventDefault()
})
stage.addEventListener('pointermove', (event) => say('mouse_move', event))
stage.addEventListener('pointerup', (event) => {
  if (event.button === 0) say('left_mouse_up', event)
  if (event.button === 2) say('right_mouse_up', event)
})
stage.addEventListener('contextmenu', (event) => event.preventDefault())
stage.addEventListener('keydown', (event) => sayKey('key_down', event))
stage.addEventListener('keyup', (event) => sayKey('key_up', event))

function sayKey(kind, event) {
  if (event.key === 'Tab' || event.key === 'Shift' || event.ctrlKey || event.metaKey || event.altKey) return
  if (!event.repeat) say(kind, event, { [kind]: event.key })
  event.preventDefault()
}

let pointer = { x: 0, y: 0 }

/** Puts an event of the mouse or the keyboard into the queue to the annotator, with its place in pixels of the image. */
function say(type, event, more = {}) {
  if (image === undefined || annotator === '') return
  if (event.clientX !== undefined) pointer = placeOf(event)
  const { organization, project: name } = project
  input.add(annotator, {
    coordinate: pointer,
    event_type: type,
    context: { organization, project: name },
    image_uuid: image.id,
    category: project.categories.find(({ id }) => id === byId('annotate-category').value),
    key_up: null,
    key_down: null,
    epsilon: null,
    is_shift_key_pressed: event.shiftKey === true,
    ...more,
  })
}

function placeOf({ clientX, clientY }) {
  const { left, top, width, height } = stage.getBoundingClientRect()
  const within = (share, size) => Math.round(Math.min(1, Math.max(0, share)) * size)
  return { x: within((clientX - left) / width, image.width), y: within((clientY - top) / height, image.height) }
}

async function onAnswer({ ack, error, ms, data }) {
  const refusal = error?.message ?? (ack?.success === false ? ack.error_msg : undefined)
  byId('annotate-message').textContent = refusal ?? ''
  byId('annotate-message').hidden = refusal === undefined
  byId('annotate-time').textContent = `${data.event_type.replaceAll('_', ' ')} · ${Math.round(ms)} ms`
  if (data.image_uuid !== image?.id) return
  if (refusal === undefined) showDrawing(ack?.payload ?? '')
  if (data.event_type !== 'mouse_move') await showAnnotations()
}

/** What a tool has drawn is shown as an image, in which nothing runs and nothing is loaded. */
function showDrawing(text) {
  const drawing = byId('annotate-drawing')
  const url = text === '' ? '' : drawingUrl(text, image)
  drawing.hidden = url === ''
  if (url !== '' && drawing.src !== url) drawing.src = url
}

async function open(id) {
  const [found] = (await api(`${base()}/images?ids=${encodeURIComponent(id)}`)).images
  if (found === undefined) return
  if (image !== undefined && image.id !== found.id) say('key_up', {}, { key_up: 'Escape' })
  image = found
  showDrawing('')
  byId('annotate-picture').src = `/api${image.resource}`
  stage.style.aspectRatio = `${image.width} / ${image.height}`
  byId('annotate-work').hidden = false
  for (const button of byId('annotate-images').querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(button.dataset.image === image.id))
  }
  await showAnnotations()
  stage.focus({ preventScroll: true })
}

async function showAnnotations() {
  if (image === undefined) return
  const wanted = image.id
  const [known] = (await api(`${base()}/images?ids=${encodeURIComponent(wanted)}`)).images
  if (known === undefined || image?.id !== wanted) return
  const made = known.segmentation_annotations
  const overlay = byId('annotate-polygons')
  overlay.setAttribute('viewBox', `0 0 ${known.width} ${known.height}`)
  const toText = ({ shape }) => shape.points.map(({ x, y }) => `${x},${y}`).join(' ')
  overlay.replaceChildren(...made.map((one) => svg('polygon', { class: 'box annotations', points: toText(one) })))
  const names = new Map(project.categories.map(({ id, name }) => [id, name]))
  const rows = made.map((one) =>
    el(
      'li',
      { 'data-annotation': one.id },
      el('b', {}, names.get(one.category_id) ?? one.category_id),
      el('span', { class: 'muted' }, `${one.shape.points.length} points · ${one.id.slice(0, 8)}`),
    ),
  )
  show(byId('annotate-made'), ...(rows.length > 0 ? rows : [el('li', { class: 'empty' }, 'None yet.')]))
}

function turnPage(by) {
  offset = Math.max(0, offset + by * PAGE)
  return look()
}

function changeAnnotator() {
  const chosen = byId('annotate-node').value
  if (chosen === annotator) return
  logOut(annotator)
  annotator = chosen
  if (image !== undefined) showDrawing('')
}

function logOut(node) {
  if (node === '') return
  const body = JSON.stringify({ frontend_id: frontendId })
  const headers = { 'content-type': 'application/json' }
  // The page may be going: the browser sends it nevertheless, and nobody waits for the answer.
  fetch(`${nodePath(node)}/user-logout`, { method: 'POST', headers, body, keepalive: true }).catch(() => undefined)
}

const nodePath = (node) => `/api/local/nodes/${encodeURIComponent(node)}`
const base = () => `/api/${encodeURIComponent(project.organization)}/projects/${encodeURIComponent(project.project)}`
const nameOf = (one) => `${one.organization}/${one.project}`

/** Follows the project that the page shows, the annotators that are there, and the images. */
async function look() {
  const [{ projects }, { nodes }] = await Promise.all([api('/api/local/projects'), api('/api/local/nodes')])
  const shown = projects.find((one) => nameOf(one) === byId('project').value)
  if (shown === undefined) return
  if (project === undefined || nameOf(project) !== nameOf(shown)) leaveProject()
  project = shown
  const here = nodes.filter(({ type, connected }) => type === 'annotation_node' && connected)
  choices(
    byId('annotate-node'),
    here.length === 0 ? [['', 'none connected']] : here.map(({ id, name }) => [id, name]),
  )
  changeAnnotator()
  const isPolygon = ({ type }) => type === 'segmentation'
  const categories = [...project.categories].sort((a, b) => isPolygon(b) - isPolygon(a))
  choices(
    byId('annotate-category'),
    categories.map(({ id, name, type }) => [id, type === null ? name : `${name} (${type})`]),
  )
  await showStrip()
}

function leaveProject() {
  if (image !== undefined && annotator !== '') say('key_up', {}, { key_up: 'Escape' })
  image = undefined
  offset = 0
  byId('annotate-work').hidden = true
}

async function showStrip() {
  const { organization, project: name } = project
  const path = `/api/local/${encodeURIComponent(organization)}/${encodeURIComponent(name)}/images`
  const { total, images } = await api(`${path}?${new URLSearchParams({ offset, limit: PAGE, model_version: 'none' })}`)
  byId('annotate-range').textContent = total === 0 ? '' : `${offset + 1}–${Math.min(offset + PAGE, total)} of ${total}`
  byId('annotate-previous').disabled = offset === 0
  byId('annotate-next').disabled = offset + PAGE >= total
  const buttons = images.map(({ id, thumbnail, segmentation_annotations: made }) =>
    el(
      'button',
      { 'data-image': id, 'aria-pressed': String(id === image?.id), 'aria-label': `annotate image ${id}` },
      el('img', { src: `/api${thumbnail}`, alt: '', loading: 'lazy' }),
      made.length > 0 ? el('span', { class: 'count' }, String(made.length)) : null,
    ),
  )
  show(byId('annotate-images'), ...(buttons.length > 0 ? buttons : [el('p', { class: 'empty' }, 'No images.')]))
}

for (;;) {
  // Without login or connection the page itself says so.
  await look().catch(() => undefined)
  await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
}
