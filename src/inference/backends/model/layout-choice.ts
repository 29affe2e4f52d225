import { InferenceError } from '../../basics/index.js'
import type { DecoderFile } from '../../decoders/decoder-file.js'
import {
  fitsLayout,
  hasBoxesInShares,
  type Layout,
  layoutsThatFit,
  MOST_FINISHED,
  type YoloLayout,
} from '../../decoders/layout.js'
import { type ModelOutput, outputError } from '../../decoders/model-output.js'
import { cellCounts, type InputSize } from './grid-cells.js'
import type { ModelFacts } from './model-facts.js'

export type LayoutQuestion = {
  /** What the model answers to a grey image. */
  readonly output: ModelOutput
  readonly facts: Pick<ModelFacts, 'task' | 'isFinished'>
  /** The layout that decoder.json names. */
  readonly named: DecoderFile['layout'] | undefined
  readonly classCount: number
  readonly input: InputSize
  /** A model that has served before goes on as it was read then, with a warning. */
  readonly wasServed: boolean
}

export type LayoutChoice = { readonly layout: DecoderFile['layout']; readonly warnings: readonly string[] }

/**
 * How a model's output is read: as its own metadata say, else as decoder.json says, else as its shape tells. Throws
 * LF_MODEL_LAYOUT when several readings remain, and LF_MODEL_OUTPUT when none does.
 */
export function chooseLayout(question: LayoutQuestion): LayoutChoice {
  const choice = layoutOf(question)
  if (!hasBoxesInShares(question.output, choice.layout)) return choice
  const problem =
    "The model's boxes are shares of the image (from 0 to 1, as of RT-DETR), and those of the layouts that can be read are pixels"
  if (question.wasServed) return { ...choice, warnings: [...choice.warnings, `${problem}; it finds nothing.`] }
  throw new InferenceError('LF_MODEL_LAYOUT', `${problem}; export it with boxes in pixels of its input.`, {
    details: { dims: question.output.dims },
  })
}

function layoutOf(question: LayoutQuestion): LayoutChoice {
  const { named, output, classCount } = question
  const own = layoutOfMetadata(question.facts)
  const fits = own !== undefined && fitsLayout(output, own, classCount)
  if (fits && (named === undefined || named === own)) return { layout: own, warnings: [] }
  if (fits)
    return { layout: own, warnings: [`decoder.json names the layout ${named}, but the model's metadata ${own}.`] }
  if (named !== undefined) {
    const warning = `The model's metadata name the layout ${own}, which its output does not have; decoder.json counts.`
    return { layout: named, warnings: own === undefined || own === named ? [] : [warning] }
  }
  return layoutOfShape(question)
}

function layoutOfMetadata({ task, isFinished }: LayoutQuestion['facts']): Layout | undefined {
  if (task === 'classify') return 'classification'
  if (isFinished === true) return 'end-to-end'
  return task === undefined ? undefined : 'yolov8'
}

function layoutOfShape(question: LayoutQuestion): LayoutChoice {
  const { output, classCount, facts } = question
  if (fitsLayout(output, 'classification', classCount)) return { layout: 'classification', warnings: [] }
  // Exporters that name a task write no objectness.
  const fitting = layoutsThatFit(output, classCount).filter((one) => facts.task === undefined || one !== 'yolov5')
  const [usual] = fitting
  if (usual === undefined) throw unfitting(output, classCount)
  const readings = fitting.flatMap((layout) => readingsOf(layout, question, fitting.length === 1))
  const [only] = readings
  if (only !== undefined && readings.length === 1) return { layout: only.layout, warnings: [] }
  const possible = readings.length > 0 ? readings : fitting.map((layout) => ({ layout, name: NAMES[layout] }))
  return unclear(usual, possible, question)
}

type Reading = { readonly layout: YoloLayout; readonly name: string }

const NAMES: Readonly<Record<YoloLayout, string>> = {
  yolov5: 'YOLO v5',
  yolov8: 'YOLO v8',
  'end-to-end': 'finished boxes (end-to-end)',
}

/**
 * What a table of this layout may be, given its number of entries: a YOLO v5 has three for each cell of its grids, a
 * YOLO v8 one. With one for each cell and an objectness it may also be a YOLOX, whose boxes are no pixels.
 */
function readingsOf(layout: YoloLayout, { output, input }: LayoutQuestion, isOnly: boolean): Reading[] {
  const entries = output.dims[layout === 'yolov8' ? 2 : 1] ?? 0
  const cells = cellCounts(input)
  const usual = { layout, name: NAMES[layout] }
  if (layout === 'yolov5') {
    if (cells.some((count) => 3 * count === entries)) return [usual]
    if (cells.includes(entries)) return ['YOLO v6', 'YOLOX without decoded boxes'].map((name) => ({ layout, name }))
    return isOnly ? [usual] : []
  }
  return layout === 'end-to-end' || isOnly || cells.includes(entries) ? [usual] : []
}

function unclear(usual: YoloLayout, readings: readonly Reading[], { output, wasServed }: LayoutQuestion): LayoutChoice {
  const shape = `[${output.dims.join(', ')}]`
  const problem = `The model's output ${shape} may be that of ${readings.map(({ name }) => name).join(' or of ')}`
  if (wasServed) {
    const way = `name its layout in a decoder.json, such as {"layout": "${usual}"}`
    return { layout: usual, warnings: [`${problem}; it is read as ${NAMES[usual]}, as before: ${way}.`] }
  }
  throw new InferenceError(
    'LF_MODEL_LAYOUT',
    `${problem}; name its layout in a decoder.json beside it, such as {"layout": "${usual}"}.`,
    { details: { dims: output.dims } },
  )
}

function unfitting(output: ModelOutput, count: number): InferenceError {
  const masks = output.masks?.dims[1] ?? 0
  const v5 = `[1, N, ${5 + count + masks}] (YOLO v5)`
  const v8 = `[1, ${4 + count + masks}, N] (YOLO v8)`
  return outputError(
    output,
    `${v5} or ${v8} or [1, N, ${6 + masks}] with at most ${MOST_FINISHED} rows (end-to-end) for ${count} categories`,
  )
}
