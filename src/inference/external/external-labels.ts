import type { ImageSize } from '../../images/index.js'
import { categoryAt, checkConfidence, type ExternalImage, outputError, sizeOf } from '../findings/external-output.js'
import { addBox, clip, emptyFindings, type Findings, type FindingsOptions, named } from '../findings/findings.js'

export type ParsedLabels = { readonly findings: Findings; readonly dropped: number }

/**
 * Reads the labels of one image: lines `class xc yc w h conf` relative to its size, or `conf name` when all categories
 * are classifications.
 */
export async function parseLabels(
  path: string,
  text: string,
  image: ExternalImage,
  options: FindingsOptions,
): Promise<ParsedLabels> {
  const lines = text.split('\n').map((line) => line.trim())
  const findings = emptyFindings()
  if (lines.every((line) => line === '')) return { findings, dropped: 0 }
  const isClassification = options.categories.every(({ type }) => type === 'classification')
  const size = isClassification ? undefined : await sizeOf(image)
  let dropped = 0
  for (const [index, line] of lines.entries()) {
    if (line === '') continue
    const where = `${path}:${index + 1}`
    const isKept =
      size === undefined ? addClass(findings, line, where, options) : addLine(findings, line, where, size, options)
    if (!isKept) dropped += 1
  }
  return { findings, dropped }
}

function addLine(findings: Findings, line: string, where: string, size: ImageSize, options: FindingsOptions): boolean {
  const words = line.split(/\s+/)
  if (words.length !== 6) throw outputError(`${where}: "${line}" is not "class xc yc w h conf"`)
  const [index = 0, xc = 0, yc = 0, w = 0, h = 0, conf = 0] = words.map((word) => toNumber(word, where))
  const category = categoryAt(options.categories, index, where)
  const confidence = checkConfidence(conf, where)
  if (confidence === undefined || ![xc, yc, w, h].every(Number.isFinite)) return false
  const edges = {
    left: clip((xc - w / 2) * size.width, size.width),
    right: clip((xc + w / 2) * size.width, size.width),
    top: clip((yc - h / 2) * size.height, size.height),
    bottom: clip((yc + h / 2) * size.height, size.height),
  }
  addBox(findings, edges, named(category, confidence, options), options)
  return true
}

function addClass(findings: Findings, line: string, where: string, options: FindingsOptions): boolean {
  const [word = '', ...rest] = line.split(' ')
  const name = rest.join(' ')
  const category = options.categories.find((candidate) => candidate.name === name)
  if (category === undefined) throw outputError(`${where}: "${line}" is not "conf name" of a category`)
  const confidence = checkConfidence(toNumber(word, where), where)
  if (confidence === undefined) return false
  findings.classification_detections.push(named(category, confidence, options))
  return true
}

// Python writes nan and inf, which Number() does not read.
function toNumber(word: string, where: string): number {
  if (/^[+-]?(nan|inf|infinity)$/i.test(word)) return Number.NaN
  const value = Number(word)
  if (Number.isNaN(value)) throw outputError(`${where}: "${word}" is not a number`)
  return value
}
