import { bar, byId, bytes, duration, el, empty, figure, isNumber, show, table } from '/page/dom.js'

/** Hosts and nodes report errors for one reason: Redis does not have the records of what they hold. */
export function hasLostRecords(hosts, nodes) {
  return [...hosts, ...nodes].some(({ isAlive, errors }) => isAlive && errors.length > 0)
}

export function showHosts({ hosts, now, trainings }) {
  const names = new Map(trainings.map(({ id, name }) => [id, name]))
  const cards = hosts.map((host) => hostCard(host, now, names))
  show(byId('hosts'), ...(cards.length > 0 ? cards : [empty('No worker is running.')]))
}

function hostCard(host, now, names) {
  const { hostId, isAlive, isDraining, trainings, notServed, errors } = host
  const state = isAlive
    ? isDraining
      ? ['warn', 'draining']
      : ['good', 'online']
    : ['bad', `offline for ${duration(now - host.seenAt)}`]
  const work = trainings.map((id) =>
    el('button', { class: 'plain', 'data-choose': id, 'data-key': `host ${id}` }, names.get(id) ?? id),
  )
  return el(
    'div',
    { class: isAlive ? 'host' : 'host away' },
    el('div', { class: 'host-head' }, el('b', {}, hostId), drainButton(host), resumeButton(host), el('span', { class: `badge ${state[0]}` }, state[1])),
    el('div', { class: 'muted' }, servedBy(host)),
    ...(isAlive ? errors : []).map(problem),
    work.length > 0 ? el('div', {}, ...work.flatMap((each) => [each, ' '])) : null,
    ...gpuParts(host),
    ...notServed.map(({ kind, name, reason }) => problem(`${kind} ${name} not served: ${reason}`)),
  )
}

function servedBy({ free, places, trainers, converters }) {
  const served = [...trainers, ...converters]
  return served.length === 0 ? 'no trainer, no converter' : `${free} of ${places} places free · ${served.join(', ')}`
}

function problem(text) {
  return el('div', { class: 'error small' }, text)
}

function gpuParts({ gpus, gpuState }) {
  const { state, reason } = gpuState ?? {}
  if (state === 'unreadable') {
    return [problem(`GPUs unreadable, none offered: ${reason}. Repair the driver, or start the worker with --gpus none.`)]
  }
  const table = gpus?.length > 0 ? gpuTable(gpus) : el('div', { class: 'muted small' }, 'no GPU, CPU only')
  return state === 'gpus' && reason ? [table, problem(`not all GPUs offered: ${reason}`)] : [table]
}

// A draining host finishes what it has, so that it can be switched off.
function drainButton({ hostId, isDraining }) {
  const action = isDraining ? 'undrain' : 'drain'
  const title = isDraining ? 'Take trainings again' : 'Finish its trainings and take no more'
  return el('button', { 'data-host': hostId, 'data-host-action': action, 'data-key': `drain ${hostId}`, title }, action)
}

// Lifts what is suspended of a host, since it failed there and worked elsewhere.
function resumeButton({ hostId, suspended }) {
  if (suspended.length === 0) return null
  const parts = suspended.map(({ what, isOnTrial }) => `${what} ${isOnTrial ? 'on trial' : 'suspended'}`)
  const title = `Lift: ${parts.join(', ')}`
  return el('button', { 'data-host': hostId, 'data-host-action': 'resume', 'data-key': `resume ${hostId}`, title }, 'resume')
}

/** One row per card: load, memory, temperature, power. */
export function gpuTable(gpus) {
  const rows = gpus.map((gpu) =>
    el(
      'tr',
      {},
      el('td', {}, `${gpu.index}`, gpu.name ? el('span', { class: 'muted small' }, ` ${gpu.name}`) : null),
      el('td', { class: 'nowrap' }, ...load(gpu.utilizationPercent)),
      el('td', { class: 'number nowrap' }, `${bytes(gpu.memoryUsedBytes)} of ${bytes(gpu.memoryTotalBytes)}`),
      el('td', { class: 'number nowrap' }, figure(gpu.temperatureCelsius, '°C')),
      el('td', { class: 'number nowrap' }, figure(gpu.powerWatts, 'W')),
    ),
  )
  return el('div', { class: 'wide stacked' }, table(['GPU', 'Load', '#Memory', '#Heat', '#Power'], rows))
}

function load(value) {
  return isNumber(value) ? [bar(value / 100, 'load'), ` ${Math.round(value)} %`] : ['–']
}

export function showNodes({ nodes, now }) {
  const rows = nodes.map((node) =>
    el(
      'tr',
      {},
      el('td', {}, node.name, el('div', { class: 'muted small' }, node.uuid), ...(node.isAlive ? node.errors : []).map(problem)),
      el('td', {}, node.type, does(node)),
      el(
        'td',
        { class: 'number' },
        el(
          'span',
          { class: `badge ${node.isAlive ? 'good' : 'bad'}` },
          node.isAlive ? 'online' : `offline for ${duration(now - node.seenAt)}`,
        ),
      ),
    ),
  )
  show(byId('nodes'), rows.length > 0 ? table(['Node', 'Type', '#State'], rows) : empty('No node is running.'))
}

function does({ trainer, converter }) {
  const name = trainer ?? converter
  return name ? el('div', { class: 'muted small' }, name) : null
}

function nodeName(name) {
  return name === undefined ? null : el('div', { class: 'muted small' }, name)
}

const STATES = ['waiting', 'active', 'delayed', 'completed', 'failed']

export function showQueues({ queues, nodes }) {
  const nodeNames = new Map(nodes.map(({ uuid, name }) => [`node.${uuid}`, name]))
  const rows = queues.map(({ name, counts }) =>
    el(
      'tr',
      {},
      el('td', {}, el('a', { href: `/queues/queue/${encodeURIComponent(name)}` }, name), nodeName(nodeNames.get(name))),
      ...STATES.map((state) => el('td', { class: 'number' }, String(counts[state] ?? 0))),
    ),
  )
  const head = ['Queue', ...STATES.map((state) => `#${state[0].toUpperCase()}${state.slice(1)}`)]
  show(byId('queues'), rows.length > 0 ? table(head, rows) : empty('No queue has been used yet.'))
}
