import { bar, byId, duration, el, empty, isNumber, percent, show, table, words } from '/page/dom.js'
import { hasLostRecords } from '/page/fleet.js'

/** The table of trainings; the chosen one is marked. */
export function showTrainings({ trainings, now, hosts, nodes }, chosen) {
  const rows = trainings.map((training) => toRow(training, now, chosen))
  const none = hasLostRecords(hosts, nodes) ? 'Redis has lost the records of trainings.' : 'No training has been ordered yet.'
  const head = ['Training', 'State', 'Progress', 'Host', '#Run', '#Best F1', '#Age', '']
  show(byId('trainings'), rows.length > 0 ? table(head, rows) : empty(none))
}

function toRow(training, now, chosen) {
  const { id, name, trainer, seat, hostId, run, best, createdAt, warnings } = training
  const choose = el('button', { class: 'plain', 'data-choose': id, 'data-key': `choose ${id}` }, name)
  return el(
    'tr',
    { class: id === chosen ? 'chosen' : undefined, 'data-training': id },
    el('td', { class: 'name' }, choose, el('div', { class: 'muted small' }, `${trainer} · ${seat}`)),
    el('td', { class: 'state' }, stateBadge(training), ...whyItWaits(training), asked(training), ...errorsOf(training.errors), ...warnings.map(warning)),
    el('td', {}, ...progressOf(training)),
    el('td', { class: 'host-name' }, hostId ?? '–'),
    el('td', { class: 'number' }, run === 0 ? '–' : String(run)),
    el('td', { class: 'number' }, isNumber(best?.f1) ? best.f1.toFixed(3) : '–'),
    el('td', { class: 'number nowrap' }, duration(now - createdAt)),
    el('td', { class: 'actions' }, ...actionsOf(training)),
  )
}

export function stateBadge({ outcome, shownOutcome, state, isWaiting, errors }) {
  if (outcome !== null) {
    const look = { completed: 'good', failed: 'bad' }[outcome] ?? ''
    return el('span', { class: `badge ${look}` }, shownOutcome)
  }
  if (isWaiting) return el('span', { class: 'badge' }, 'waiting for a host')
  return el('span', { class: `badge ${Object.keys(errors).length > 0 ? 'warn' : 'busy'}` }, words(state))
}

export function actionsOf({ id, actions }) {
  return actions.map((action) => {
    const look = action === 'abort' ? 'danger' : undefined
    return el('button', { class: look, 'data-action': action, 'data-id': id, 'data-key': `${action} ${id}` }, action)
  })
}

export function whyItWaits({ waits }) {
  return waits === null ? [] : [el('div', { class: 'muted small waits' }, waits)]
}

export function warning(text) {
  return el('div', { class: 'warning' }, text)
}

export function errorsOf(errors) {
  return Object.entries(errors).map(([key, text]) => el('div', { class: 'error' }, `${words(key)}: ${text}`))
}

function asked({ stopRequested, outcome }) {
  return stopRequested && outcome === null ? el('div', { class: 'muted small' }, 'stop requested') : null
}

function progressOf({ progress, outcome, startedAt, endedAt, current }) {
  if (outcome !== null) {
    return [
      el('span', { class: 'muted' }, isNumber(startedAt) ? `took ${duration(endedAt - startedAt)}` : 'not started'),
    ]
  }
  const step = current.find(({ epochs }) => isNumber(epochs)) ?? current[0]
  const text = step === undefined ? '' : [epochOf(step), step.message].filter(Boolean).join(' · ')
  const note = text === '' ? null : el('div', { class: 'muted small' }, text)
  if (!isNumber(progress)) return [note ?? '–']
  return [el('span', { class: 'nowrap' }, bar(progress, 'progress'), ` ${percent(progress)}`), note]
}

export function epochOf({ epoch, epochs }) {
  if (!isNumber(epoch)) return ''
  return isNumber(epochs) ? `epoch ${epoch} of ${epochs}` : `epoch ${epoch}`
}
