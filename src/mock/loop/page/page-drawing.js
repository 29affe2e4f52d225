/**
 * A tool's drawing as the address of an image of the same size as the one it was drawn for. Browsers run no script and
 * load nothing from elsewhere in such an image; all that could is taken out nevertheless. The HTML parser is used since
 * a drawing may be an unclosed fragment, which it closes; its document is never shown.
 */
export function drawingUrl(fragment, { width, height }) {
  const parsed = new DOMParser().parseFromString(`<svg>${fragment}</svg>`, 'text/html')
  const drawing = parsed.querySelector('svg')
  if (drawing === null) return ''
  for (const element of drawing.querySelectorAll('*')) {
    if (!SHAPES.has(element.localName)) element.remove()
  }
  for (const element of [drawing, ...drawing.querySelectorAll('*')]) {
    for (const { name } of [...element.attributes]) {
      if (/^on|href$/i.test(name)) element.removeAttribute(name)
    }
  }
  drawing.setAttribute('viewBox', `0 0 ${width} ${height}`)
  return `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(drawing))}`
}

const SHAPES = new Set(
  'svg g rect circle ellipse line polyline polygon path text tspan defs linearGradient radialGradient stop title'.split(' '),
)
