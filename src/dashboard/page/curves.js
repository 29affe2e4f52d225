import { byId, el, isNumber, show, table } from '/page/dom.js'

const WIDTH = 300
const HEIGHT = 110
const MAX_LINES = 3
const SVG = 'http://www.w3.org/2000/svg'

/** One small chart per measure; `train/box_loss` and `val/box_loss` share one. */
export function showCurves({ epochs, series }, best) {
  const groups = Object.values(Object.groupBy(series, ({ name }) => name.split('/').at(-1)))
  const charts = groups.flatMap((group) => (epochs.length < 2 ? [] : [chart(group.slice(0, MAX_LINES), epochs, best)]))
  show(byId('curves'), ...charts)
}

function chart(group, epochs, best) {
  const known = group.flatMap(({ values }) => values.filter(isNumber))
  const [low, high] = [Math.min(...known), Math.max(...known)]
  const [first, last] = [epochs[0], epochs.at(-1)]
  const x = (epoch) => ((epoch - first) / (last - first || 1)) * WIDTH
  const y = (value) => (high === low ? HEIGHT / 2 : HEIGHT - ((value - low) / (high - low)) * HEIGHT)
  const picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' })
  const grid = [0, HEIGHT].map((at) => svg('line', { class: 'grid', x1: 0, x2: WIDTH, y1: at, y2: at }))
  const mark = isNumber(best?.epoch) && best.epoch >= first && best.epoch <= last ? [bestMark(x(best.epoch))] : []
  const lines = group.flatMap(({ values }, index) =>
    runsOf(values, epochs).map((run) => line(run, index, x, y)),
  )
  picture.append(svgTitle(group, first, last), ...grid, ...mark, ...lines)
  const names = group.map(({ name, values }, index) =>
    el('span', { class: `s${index}` }, `${name} `, el('b', {}, short(values.findLast(isNumber)))),
  )
  const ends = el('div', { class: 'ends' }, el('span', {}, `epoch ${first}`), el('span', {}, `${short(low)} – ${short(high)}`), el('span', {}, String(last)))
  return el('figure', { class: 'curve' }, el('figcaption', {}, ...names), picture, ends)
}

/** Stretches without gaps, each as points. */
function runsOf(values, epochs) {
  const runs = [[]]
  values.forEach((value, index) => {
    if (isNumber(value)) runs.at(-1).push([epochs[index], value])
    else if (runs.at(-1).length > 0) runs.push([])
  })
  return runs.filter((run) => run.length > 0)
}

function line(run, index, x, y) {
  const points = run.map(([epoch, value]) => `${x(epoch).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
  return svg('polyline', { class: `line s${index}`, points })
}

function bestMark(at) {
  return svg('line', { class: 'best', x1: at, x2: at, y1: 0, y2: HEIGHT })
}

function svgTitle(group, first, last) {
  const title = svg('title', {})
  title.textContent = `${group.map(({ name }) => name).join(', ')} from epoch ${first} to ${last}`
  return title
}

function svg(name, attributes) {
  const element = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value))
  return element
}

/** How well the best model finds each category. */
export function showClasses({ best, categories }) {
  const names = new Map(categories.map(({ id, name }) => [id, name]))
  const rows = Object.entries(best?.classes ?? {}).map(([id, { tp, fp, fn }]) =>
    el(
      'tr',
      {},
      el('td', {}, names.get(id) ?? id),
      ...[ratio(tp, tp + fp), ratio(tp, tp + fn), ratio(2 * tp, 2 * tp + fp + fn)].map(number),
      ...[tp, fp, fn].map((count) => number(String(count))),
    ),
  )
  const head = ['Category', '#Precision', '#Recall', '#F1', '#Found', '#Wrong', '#Missed']
  show(byId('classes'), ...(rows.length > 0 ? [table(head, rows)] : []))
}

const number = (text) => el('td', { class: 'number' }, text)
const ratio = (part, whole) => (whole > 0 ? (part / whole).toFixed(3) : '–')
const short = (value) => (isNumber(value) ? String(Number(value.toPrecision(3))) : '–')
