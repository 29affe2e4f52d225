import { api, byId, choices, el, show, svg } from './page-dom.js'

const PAGE = 24
let offset = 0
let hasChosen = false

byId('version').addEventListener('change', () => {
  hasChosen = true
})

/** Draws the grid of images with what is known, annotated and detected in them. */
export async function showImages(project) {
  const states = ['complete', 'review', 'annotate', 'inbox', 'trash'].filter((state) => project.states[state] > 0)
  choices(byId('state'), [['', 'all'], ...states.map((state) => [state, `${state} (${project.states[state]})`])], '')
  const versions = project.detection_versions
  const none = ['', 'none']
  choices(byId('version'), [none, ...versions.map((version) => [version, version])], '')
  // Until somebody chooses, the newest detections are shown.
  if (!hasChosen) byId('version').value = versions.at(-1) ?? ''
  const version = byId('version').value
  const query = new URLSearchParams({
    offset,
    limit: PAGE,
    state: byId('state').value,
    model_version: version || 'none',
  })
  const base = `/api/local/${encodeURIComponent(project.organization)}/${encodeURIComponent(project.project)}`
  const { total, images } = await api(`${base}/images?${query}`)
  if (offset > 0 && offset >= total) return restart(project)
  const names = new Map(project.categories.map(({ id, name }) => [id, name]))
  const first = total === 0 ? 0 : offset + 1
  byId('range').textContent = `${first}–${Math.min(offset + PAGE, total)} of ${total}`
  byId('previous').disabled = offset === 0
  byId('next').disabled = offset + PAGE >= total
  const figures = images.map((image) => toFigure(image, names))
  show(byId('images'), ...(figures.length > 0 ? figures : [el('p', { class: 'empty' }, 'No images.')]))
}

export function restart(project) {
  offset = 0
  return showImages(project)
}

export function turnPage(project, by) {
  offset = Math.max(0, offset + by * PAGE)
  return showImages(project)
}

function toFigure(image, names) {
  const drawing = svg('svg', { viewBox: `0 0 ${image.width} ${image.height}`, 'aria-hidden': 'true' })
  const isOn = (kind) => byId(`show-${kind}`).checked
  if (isOn('annotations')) {
    draw(
      drawing,
      'annotations',
      image.box_annotations,
      image.point_annotations,
      polygons(image.segmentation_annotations),
      names,
    )
  }
  if (isOn('truth') && image.truth)
    draw(
      drawing,
      'truth',
      image.truth.boxes,
      image.truth.points,
      image.truth.segmentations.map((one) => one.points),
      names,
    )
  if (isOn('detections')) {
    draw(
      drawing,
      'detections',
      image.box_detections,
      image.point_detections,
      polygons(image.segmentation_detections),
      names,
    )
  }
  const source = `/api${image.resource}`
  const found = image.box_detections.length + image.point_detections.length
  return el(
    'figure',
    {},
    el(
      'a',
      { href: source, target: '_blank', rel: 'noopener' },
      el('img', { src: source, alt: `image ${image.id}`, loading: 'lazy', width: image.width, height: image.height }),
    ),
    drawing,
    el(
      'figcaption',
      {},
      `${image.state} · ${image.set}`,
      el(
        'span',
        {},
        [...image.tags.map(({ name }) => name), found > 0 ? `${found} detected` : ''].filter(Boolean).join(' · '),
      ),
    ),
  )
}

function polygons(list) {
  return list.map(({ shape }) => (typeof shape === 'string' ? fromText(shape) : shape.points))
}

function fromText(text) {
  const numbers = text.split(',').map(Number)
  return Array.from({ length: Math.floor(numbers.length / 2) }, (_, i) => ({
    x: numbers[2 * i],
    y: numbers[2 * i + 1],
  }))
}

function draw(drawing, kind, boxes, points, outlines, names) {
  const width = drawing.viewBox.baseVal.width
  for (const box of boxes) {
    drawing.append(
      svg('rect', { class: `box ${kind}`, x: box.x, y: box.y, width: box.width, height: box.height, rx: 2 }),
    )
    const label = labelOf(kind, box, names)
    if (label === '') continue
    const isRight = box.x > width * 0.72
    const y = box.y > 24 ? box.y - 5 : box.y + box.height + 19
    const x = isRight ? box.x + box.width : box.x + 2
    drawing.append(svg('text', { x, y, 'text-anchor': isRight ? 'end' : 'start' }, label))
  }
  for (const { x, y } of points) drawing.append(svg('circle', { class: `box ${kind}`, cx: x, cy: y, r: 9 }))
  for (const outline of outlines) {
    drawing.append(svg('polygon', { class: `box ${kind}`, points: outline.map(({ x, y }) => `${x},${y}`).join(' ') }))
  }
}

function labelOf(kind, box, names) {
  if (kind !== 'detections') return ''
  const confidence = box.confidence > 1 ? box.confidence : box.confidence * 100
  return `${box.category_name ?? names.get(box.category_id) ?? ''} ${Math.round(confidence)} %`
}
