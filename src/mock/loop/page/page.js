import { api, byId, choices, decimal, el, percent, show, svg, table, time } from './page-dom.js'
import { restart, showImages, turnPage } from './page-images.js'

const SHOWN_TRAININGS = 12
const EVERY_MS = 2000
let project

byId('login').addEventListener('submit', async (event) => {
  event.preventDefault()
  const form = new URLSearchParams({ username: byId('username').value, password: byId('password').value })
  const response = await fetch('/api/login', { method: 'POST', body: form })
  if (response.ok) await refresh()
  else tell('User name or password is wrong.')
})
byId('start').addEventListener('click', () => act(`${base()}/trainings`, 'POST', {}))
byId('previous').addEventListener('click', () => turnPage(project, -1))
byId('next').addEventListener('click', () => turnPage(project, 1))
// The chosen project stands in the address, so that a link leads to it.
byId('project').addEventListener('change', () => {
  location.hash = byId('project').value
})
addEventListener('hashchange', async () => {
  byId('project').value = named()
  await refresh()
  await restart(project)
})
byId('state').addEventListener('change', () => restart(project))
for (const id of ['version', 'show-annotations', 'show-truth', 'show-detections']) {
  byId(id).addEventListener('change', () => showImages(project))
}

const named = () => decodeURIComponent(location.hash.slice(1))
const base = () => `/api/local/${encodeURIComponent(project.organization)}/${encodeURIComponent(project.project)}`

async function act(path, method, body) {
  try {
    const { ack } = await api(path, method, body)
    tell(ack && ack.success === false ? `The node refused: ${ack.error_msg}` : '')
    await refresh()
  } catch (error) {
    tell(error.message)
  }
}

function tell(text) {
  byId('message').textContent = text
  byId('message').hidden = text === ''
}

async function refresh() {
  try {
    const [{ projects }, { trainings }, { nodes }] = await Promise.all([
      api('/api/local/projects'),
      api('/api/local/trainings'),
      api('/api/local/nodes'),
    ])
    byId('login').hidden = true
    byId('main').hidden = false
    byId('connection').textContent = ''
    const nameOf = (one) => `${one.organization}/${one.project}`
    const latest = [...projects].sort((a, b) => b.created.localeCompare(a.created))[0]
    choices(
      byId('project'),
      projects.map((one) => [nameOf(one), nameOf(one)]),
      projects.some((one) => nameOf(one) === named()) ? named() : latest && nameOf(latest),
    )
    project = projects.find((one) => nameOf(one) === byId('project').value)
    if (project === undefined) return
    const own = trainings.filter((training) => nameOf(training) === nameOf(project))
    showTiles(own, nodes)
    showTrainings(own, nodes)
    showNodes(nodes)
    showModels(own)
    await showImages(project)
  } catch (error) {
    byId('login').hidden = error.status !== 401
    if (error.status === 401) byId('main').hidden = true
    else byId('connection').textContent = `not connected: ${error.message}`
  }
}

function showTiles(trainings, nodes) {
  const done = trainings.find(({ best_f1 }) => best_f1 !== null)
  const tiles = [
    ['images', project.image_count],
    ['categories', project.categories.length],
    ['models', project.models.length],
    ['trainings', trainings.length],
    ['latest best F1', done ? done.best_f1.toFixed(2) : '–'],
    ['nodes online', nodes.filter(({ connected }) => connected).length],
  ]
  show(
    byId('tiles'),
    ...tiles.map(([label, value]) => el('div', { class: 'tile' }, el('b', {}, String(value)), el('span', {}, label))),
  )
}

function showTrainings(trainings, nodes) {
  byId('start').disabled = !nodes.some(
    ({ type, connected, state }) => type === 'trainer' && connected && state === 'idle',
  )
  const rows = trainings.slice(0, SHOWN_TRAININGS).map((training) => {
    const path = `${base()}/trainings/${training.number}`
    const order = (kind) => el('button', { 'data-path': `${path}/${kind}` }, kind)
    const isOpen = training.ended === null
    return el(
      'tr',
      {},
      el('td', {}, `#${training.number}`, el('div', { class: 'muted' }, training.trainer_name)),
      el(
        'td',
        {},
        stateBadge(training),
        training.requested && isOpen ? el('div', { class: 'muted' }, `${training.requested} asked for`) : null,
        ...errorsOf(training.errors),
      ),
      el(
        'td',
        {},
        isOpen && training.progress !== null
          ? progressBar(training.progress)
          : isOpen
            ? `since ${time(training.created)}`
            : `${time(training.created)} – ${time(training.ended)}`,
      ),
      el(
        'td',
        {},
        chart(training.points),
        el(
          'div',
          { class: 'muted' },
          training.points.length === 0 ? 'no metrics yet' : `F1 ${decimal(training.best_f1)}`,
        ),
      ),
      el('td', { class: 'actions' }, ...(isOpen ? [order('stop'), order('abort')] : [])),
    )
  })
  show(
    byId('trainings'),
    rows.length > 0
      ? table(['Training', 'State', 'Progress', 'Metrics', ''], rows)
      : el('p', { class: 'empty' }, 'No trainings yet.'),
    ...(trainings.length > SHOWN_TRAININGS
      ? [el('p', { class: 'empty' }, `The newest ${SHOWN_TRAININGS} of ${trainings.length} trainings.`)]
      : []),
  )
}

// One listener for all buttons of the table, since its rows come and go.
byId('trainings').addEventListener('click', (event) => {
  const path = event.target.closest('button')?.dataset.path
  if (path !== undefined) act(path, 'POST', {})
})

function stateBadge(training) {
  if (training.ended === null) return el('span', { class: 'badge busy' }, words(training.state))
  const look = training.outcome === 'completed' ? 'good' : training.outcome === 'aborted' ? '' : 'bad'
  return el('span', { class: `badge ${look}` }, training.outcome)
}

function showNodes(nodes) {
  const rows = nodes.map((node) =>
    el(
      'tr',
      {},
      el(
        'td',
        {},
        node.name,
        el('div', { class: 'muted' }, [words(node.type), node.dialect].filter(Boolean).join(' · ')),
      ),
      el(
        'td',
        {},
        el(
          'span',
          {
            class: `badge ${node.connected ? (node.state === 'idle' || node.state === 'online' ? 'good' : 'busy') : ''}`,
          },
          node.connected ? words(node.state) : 'away',
        ),
        ...(node.connected && node.progress !== null && node.state !== 'idle' ? [' ', progressBar(node.progress)] : []),
        ...(node.type === 'detector' ? [el('div', { class: 'muted' }, modelOf(node.status))] : []),
        ...errorsOf(node.errors),
      ),
    ),
  )
  show(
    byId('nodes'),
    rows.length > 0 ? table(['Node', 'State'], rows) : el('p', { class: 'empty' }, 'No node has connected yet.'),
  )
}

/** What a detector runs, what it is to run, and whether it may change. */
function modelOf({ current_model, target_model, operation_mode }) {
  const isOnWay = target_model && target_model !== current_model
  const model = current_model ? `model ${current_model}` : 'no model'
  return [isOnWay ? `${model} → ${target_model}` : model, operation_mode].filter(Boolean).join(' · ')
}

function showModels(trainings) {
  const points = new Map(trainings.flatMap((training) => training.points.map((point) => [point.model_id, point])))
  const rows = [...project.models].reverse().map((model) => {
    const point = points.get(model.id)
    const isTarget = model.id === project.target
    const base = `/api/${encodeURIComponent(project.organization)}/projects/${encodeURIComponent(project.project)}/models/${encodeURIComponent(model.id)}`
    const links = model.formats.map((format) =>
      el('a', { class: 'badge', href: `${base}/${encodeURIComponent(format)}/file` }, format),
    )
    return el(
      'tr',
      {},
      el(
        'td',
        {},
        el('b', {}, model.version ?? '–'),
        isTarget ? ' ' : null,
        isTarget ? el('span', { class: 'badge good' }, 'deployed') : null,
      ),
      el('td', {}, ...links.flatMap((link) => [link, ' '])),
      el(
        'td',
        {},
        point
          ? `F1 ${decimal(point.f1)} · precision ${percent(point.precision)} · recall ${percent(point.recall)}`
          : '–',
      ),
      el('td', { class: 'muted' }, model.comment),
      el('td', { class: 'muted' }, time(model.created)),
      el('td', { class: 'actions' }, el('button', { 'data-model': isTarget ? '' : model.id }, isTarget ? 'withdraw' : 'deploy')),
    )
  })
  show(
    byId('models'),
    rows.length > 0
      ? table(['Version', 'Formats', 'Metrics', 'Comment', 'Created', ''], rows)
      : el('p', { class: 'empty' }, 'No models yet.'),
  )
}

byId('models').addEventListener('click', (event) => {
  const model = event.target.closest('button')?.dataset.model
  if (model !== undefined) act(`${base()}/deployment/target`, 'PUT', { model_uuid: model === '' ? null : model })
})

/** F1 over the points of a training that were measured. */
function chart(all) {
  const points = all.filter(({ f1 }) => f1 !== null)
  const [width, height] = [150, 34]
  if (points.length === 0) return null
  const at = (point, index) => [
    4 + (index / Math.max(1, points.length - 1)) * (width - 8),
    height - 4 - point.f1 * (height - 8),
  ]
  const places = points.map(at)
  const [x, y] = places.at(-1)
  const line = svg('polyline', {
    points: places.map((place) => place.map((value) => value.toFixed(1)).join(',')).join(' '),
  })
  return svg(
    'svg',
    { class: 'chart', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': 'F1 over time' },
    line,
    svg('circle', { cx: x.toFixed(1), cy: y.toFixed(1), r: 3 }),
  )
}

function progressBar(value) {
  const share = Math.min(1, Math.max(0, value))
  return el('span', {}, el('progress', { value: share, max: 1 }), ` ${Math.round(share * 100)} %`)
}

function errorsOf(errors) {
  return Object.entries(errors).map(([key, text]) => el('div', { class: 'error' }, `${words(key)}: ${text}`))
}

function words(text) {
  return text.replaceAll('_', ' ')
}

for (;;) {
  await refresh()
  await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
}
