import { byId, duration, el, isNumber, show, table } from '/page/dom.js'
import { createLogView } from '/page/log.js'
import { warning } from '/page/trainings.js'

const LOOKS = { converted: 'good', failed: 'bad', running: 'busy', waiting: '' }
/** Causes that are open, kept over refreshes. */
const open = new Set()
const showLog = createLogView(byId('conversion-log'), byId('conversion-follow'))
/** The conversion whose log is shown. */
let chosen

addEventListener(
  'toggle',
  (event) => {
    const id = event.target.dataset?.cause
    if (id === undefined) return
    if (event.target.open) open.add(id)
    else open.delete(id)
  },
  true,
)

/** Shows the log of a conversion; that of the one that is shown is closed. */
export function chooseConversion(id) {
  chosen = id === chosen ? undefined : id
}

/** The failed conversions with their causes, and the newest of the others. */
export async function showConversions({ conversions, now }) {
  byId('conversions-card').hidden = conversions.length === 0
  const head = ['Model', 'Formats', 'State', 'Converter', 'Host', '#Age', '']
  show(byId('conversions'), table(head, conversions.map((conversion) => toRow(conversion, now))))
  byId('conversion-detail').hidden = chosen === undefined
  if (chosen !== undefined) await showLog(`/api/conversions/${encodeURIComponent(chosen)}/log`)
}

function toRow(conversion, now) {
  const { id, organization, project, modelVersion, sourceFormat, targetFormat, converter, hostId, createdAt } = conversion
  return el(
    'tr',
    { 'data-conversion': id },
    el('td', { class: 'name' }, `${organization}/${project} ${modelVersion}`, el('div', { class: 'muted small' }, id)),
    el('td', {}, `${sourceFormat} → ${targetFormat}`),
    el('td', { class: 'state' }, badge(conversion), cause(conversion), ...conversion.warnings.map(warning)),
    el('td', {}, converter),
    el('td', { class: 'host-name' }, hostId ?? '–'),
    el('td', { class: 'number nowrap' }, duration(now - createdAt)),
    el('td', { class: 'actions' }, ...stepLink(conversion), logButton(id), ...retry(conversion)),
  )
}

function stepLink({ queue }) {
  if (queue === null) return [] // no host has had it
  return [el('a', { class: 'small', href: `/queues/queue/${encodeURIComponent(queue)}` }, 'steps')]
}

function logButton(id) {
  return el('button', { 'data-conversion-log': id, 'data-key': `log ${id}` }, 'log')
}

function badge({ state, seconds }) {
  const took = state === 'converted' && isNumber(seconds) ? ` in ${seconds.toFixed(1)} s` : ''
  return el('span', { class: `badge ${LOOKS[state] ?? ''}` }, `${state}${took}`)
}

function cause({ id, failure }) {
  if (failure === null) return null
  const lines = failure.lastLogLines ?? []
  if (lines.length === 0) return el('div', { class: 'error' }, failure.message)
  return el(
    'details',
    { 'data-cause': id, open: open.has(id) },
    el('summary', { class: 'error' }, failure.message),
    el('pre', {}, lines.join('\n')),
  )
}

function retry({ id, actions }) {
  return actions.map((action) =>
    el('button', { 'data-conversion-action': action, 'data-id': id, 'data-key': `${action} ${id}` }, action),
  )
}
