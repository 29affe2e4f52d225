import { chooseConversion, showConversions } from '/page/conversions.js'
import { showDetail } from '/page/detail.js'
import { api, byId, el, show } from '/page/dom.js'
import { hasLostRecords, showHosts, showNodes, showQueues } from '/page/fleet.js'
import { showTrainings } from '/page/trainings.js'

const EVERY_MS = 1500
const LIMIT = 20
let offset = 0
let refreshing

byId('newer').addEventListener('click', () => turn(-LIMIT))
byId('older').addEventListener('click', () => turn(LIMIT))
addEventListener('hashchange', () => refresh())

// One listener for all buttons of trainings, since they come and go.
addEventListener('click', async (event) => {
  const { action, id, choose, host, hostAction, conversionAction, conversionLog } = event.target.closest('button')?.dataset ?? {}
  if (conversionLog !== undefined) {
    chooseConversion(conversionLog)
    await refresh()
  }
  if (choose !== undefined) location.hash = choose === chosen() ? '' : choose
  if (action === undefined && hostAction === undefined && conversionAction === undefined) return
  if (action === 'abort' && !confirm('Abort this training and throw its work away?')) return
  try {
    if (action !== undefined) await api(`/api/trainings/${encodeURIComponent(id)}/${action}`, 'POST')
    else if (conversionAction !== undefined)
      await api(`/api/conversions/${encodeURIComponent(id)}/${conversionAction}`, 'POST')
    else await api(`/api/hosts/${encodeURIComponent(host)}/${hostAction}`, 'POST')
    tell('')
  } catch (error) {
    tell(error.message)
  }
  await refresh()
})

const chosen = () => /^#([0-9a-z]+)$/.exec(location.hash)?.[1] ?? ''

async function turn(by) {
  offset = Math.max(0, offset + by)
  await refresh()
}

function tell(text) {
  byId('message').textContent = text
  byId('message').hidden = text === ''
}

async function refreshOnce() {
  try {
    const fleet = await api(`/api/fleet?limit=${LIMIT}&offset=${offset}`)
    byId('connection').textContent = ''
    showProblems(fleet)
    showTiles(fleet)
    showTrainings(fleet, chosen())
    showPager(fleet)
    await showConversions(fleet)
    showHosts(fleet)
    showNodes(fleet)
    showQueues(fleet)
    await showDetail(chosen(), fleet)
  } catch (error) {
    byId('connection').textContent = `not connected: ${error.message}`
  }
}

async function refresh() {
  await refreshing
  refreshing = refreshOnce()
  await refreshing
}

function showProblems({ redis, hosts, nodes }) {
  const problems = [
    ...(redis.problem === null ? [] : [redis.problem]),
    ...(hasLostRecords(hosts, nodes) ? ['Redis has lost records: see the errors of hosts and nodes.'] : []),
  ]
  byId('problems').hidden = problems.length === 0
  show(byId('problems'), ...problems.map((text) => el('div', {}, text)))
}

function showTiles({ total, unfinished, waitingByTrainer, trainings, hosts, nodes, conversionCounts }) {
  const alive = hosts.filter(({ isAlive }) => isAlive)
  // A host that drains, or serves nothing, such as one with unreadable GPUs, takes no training.
  const serving = alive.filter((host) => !host.isDraining && host.trainers.length + host.converters.length > 0)
  const sum = (key) => serving.reduce((count, host) => count + host[key], 0)
  const unreadable = alive.filter(({ gpuState }) => gpuState?.state === 'unreadable').length
  const failed = trainings.filter(({ outcome }) => outcome === 'failed').length
  const waiting = Object.values(waitingByTrainer).reduce((count, each) => count + each, 0)
  const tiles = [
    ['active trainings', unfinished - waiting],
    ['waiting trainings', waiting],
    ['trainings', total],
    ['failed (this page)', failed, failed > 0 ? 'tile bad' : 'tile'],
    ...(conversionCounts.waiting > 0 ? [['waiting conversions', conversionCounts.waiting, 'tile']] : []),
    ...(conversionCounts.failed > 0 ? [['failed conversions', conversionCounts.failed, 'tile bad']] : []),
    ['hosts', alive.length],
    ['free places', `${sum('free')} of ${sum('places')}`],
    ['GPUs', alive.reduce((count, { gpus }) => count + (gpus?.length ?? 0), 0)],
    ...(unreadable > 0 ? [['hosts with unreadable GPUs', unreadable, 'tile bad']] : []),
    ['nodes', nodes.filter(({ isAlive }) => isAlive).length],
  ]
  show(
    byId('tiles'),
    ...tiles.map(([label, value, look = 'tile']) =>
      el('div', { class: look }, el('b', {}, String(value)), el('span', {}, label)),
    ),
  )
}

function showPager({ total, trainings }) {
  byId('pager').hidden = total <= LIMIT
  byId('range').textContent = `${total === 0 ? 0 : offset + 1}–${offset + trainings.length} of ${total}`
  byId('newer').disabled = offset === 0
  byId('older').disabled = offset + LIMIT >= total
}

for (;;) {
  await refresh()
  await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
}
