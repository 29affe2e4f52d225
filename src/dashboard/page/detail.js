import { showClasses, showCurves } from '/page/curves.js'
import { api, bytes, byId, duration, el, figure, isNumber, percent, show, words } from '/page/dom.js'
import { gpuTable } from '/page/fleet.js'
import { createLogView } from '/page/log.js'
import { actionsOf, epochOf, errorsOf, stateBadge, warning, whyItWaits } from '/page/trainings.js'

const showLog = createLogView(byId('log'), byId('follow'))

/** The chosen training with its steps, figures and the end of its log; nothing without one. */
export async function showDetail(id, { now }) {
  byId('detail').hidden = id === ''
  if (id === '') return
  try {
    const training = await api(`/api/trainings/${encodeURIComponent(id)}`)
    show(byId('facts'), ...facts(training, now))
    showClasses(training)
    showCurves(await api(`/api/trainings/${encodeURIComponent(id)}/curve`), training.best)
    await showLog(`/api/trainings/${encodeURIComponent(id)}/log`)
  } catch (error) {
    show(byId('facts'), el('div', { class: 'error' }, error.message))
  }
}

function facts(training, now) {
  const head = el(
    'div',
    { class: 'card-head' },
    el('h2', {}, training.name, ' ', stateBadge(training)),
    ...actionsOf(training),
    el('button', { 'data-choose': training.id, 'data-key': 'close' }, 'close'),
  )
  const steps = el('ol', { class: 'way' }, ...training.stages.map((stage) => stepOf(stage, training, now)))
  return [head, ...whyItWaits(training), ...errorsOf(training.errors), ...training.warnings.map(warning), ...failureOf(training, now), steps, ...training.current.flatMap(figuresOf), list(training)]
}

/** Why its last failure came about, with the last lines of the program that ended. */
function failureOf({ failure, outcome }, now) {
  if (failure === null) return []
  const { stage, attempt, hostId, message, code, exitCode, signal, outOfMemory, lastLogLines = [], at } = failure
  const where = [stage === undefined ? '' : `in ${stage}`, attempt > 1 ? `attempt ${attempt}` : '', `on ${hostId}`]
  const how = signal ? `ended by ${signal}` : isNumber(exitCode) ? `exit code ${exitCode}` : ''
  const told = [`${where.filter(Boolean).join(', ')}, ${duration(now - at)} ago`, how, outOfMemory ? 'out of memory' : '']
  const title = outcome === null || outcome === 'completed' ? 'Last failure, recovered' : 'Cause'
  return [
    el(
      'div',
      { class: 'failure' },
      el('div', {}, el('b', {}, `${title}: `), message, ' ', el('code', { class: 'small' }, code)),
      el('div', { class: 'muted small' }, told.filter(Boolean).join(' · ')),
      lastLogLines.length === 0 ? null : el('pre', { 'aria-label': 'Last lines of the program' }, lastLogLines.join('\n')),
    ),
  ]
}

function stepOf(stage, { steps, current, outcome, failure }, now) {
  const done = steps.find((step) => step.stage === stage)
  const at = current.find((step) => step.stage === stage)
  const name = el('b', {}, words(stage.replaceAll('-', ' ')))
  if (at !== undefined) {
    const link = `/queues/queue/${encodeURIComponent(at.queue)}/${encodeURIComponent(at.jobId)}`
    const since = isNumber(at.startedAt) ? duration(now - at.startedAt) : ''
    const attempt = at.attempt > 1 ? ` · attempt ${at.attempt}` : ''
    return el('li', { class: 'now' }, name, el('a', { class: 'small', href: link }, `${since}${attempt} · job`))
  }
  if (done !== undefined)
    return el('li', { class: 'done' }, name, el('span', { class: 'small' }, `${done.seconds.toFixed(1)} s`))
  if (outcome === 'failed' && failure?.stage === stage)
    return el('li', { class: 'failed' }, name, el('span', { class: 'small' }, 'failed'))
  return el('li', {}, name, el('span', { class: 'small' }, outcome === null ? 'pending' : 'not run'))
}

function figuresOf(step) {
  const told = [
    epochOf(step),
    isNumber(step.progress) ? percent(step.progress) : '',
    step.message ?? '',
    step.process ? `CPU ${figure(step.process.cpuPercent, '%')}, memory ${bytes(step.process.memoryBytes)}` : '',
  ].filter(Boolean)
  if (told.length === 0) return []
  const line = el('div', {}, el('b', {}, `${words(step.stage.replaceAll('-', ' '))}: `), told.join(' · '))
  return step.gpus?.length > 0 ? [line, gpuTable(step.gpus)] : [line]
}

function list(training) {
  const { best, createdAt, endedAt } = training
  const entries = [
    ['id', training.id],
    ['trainer', `${training.trainer}, ${training.modelVariant || 'default'}`],
    ['node', training.seat],
    ['host', training.hostId === null ? 'none yet' : `${training.hostId}, run ${training.run}`],
    ['device', training.device ?? 'none yet'],
    ['ordered', new Date(createdAt).toLocaleString()],
    ['ended', isNumber(endedAt) ? new Date(endedAt).toLocaleString() : 'not yet'],
    ['images', imagesOf(training)],
    [
      'best model',
      best === null ? 'none yet' : `epoch ${best.epoch ?? 'unknown'}, F1 ${isNumber(best.f1) ? best.f1.toFixed(3) : 'unknown'}`,
    ],
    ['at the Loop', [training.modelVersion, training.formats.join(', ')].filter(Boolean).join(' · ') || 'nothing yet'],
  ]
  return el(
    'dl',
    {},
    ...entries.map(([term, text]) => el('div', {}, el('dt', { class: 'small' }, term), el('dd', {}, text))),
  )
}

function imagesOf({ trainImageCount, testImageCount, skippedImageCount }) {
  if (!isNumber(trainImageCount)) return 'unknown'
  return `${trainImageCount} train, ${testImageCount ?? 0} test, ${skippedImageCount ?? 0} skipped`
}
