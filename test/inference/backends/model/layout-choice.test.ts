import { expect } from 'chai'
import { chooseLayout, type LayoutQuestion } from '../../../../src/inference/backends/model/layout-choice.js'
import type { ModelOutput } from '../../../../src/inference/decoders/model-output.js'

type Asked = Partial<Omit<LayoutQuestion, 'output'>> & { readonly masks?: number; readonly edge?: number }

/** The layout of an output of this shape, filled with one value. */
function choose(dims: readonly number[], asked: Asked = {}, fill = 0) {
  const { masks, edge = 640, ...others } = asked
  const size = dims.reduce((product, dim) => product * dim, 1)
  const shapes =
    masks === undefined ? {} : { masks: { dims: [1, masks, 160, 160], data: new Float32Array(masks * 25_600) } }
  const output: ModelOutput = { dims, data: new Float32Array(size).fill(fill), ...shapes }
  const usual = { facts: {}, named: undefined, classCount: 80, input: { width: edge, height: edge }, wasServed: false }
  return chooseLayout({ ...usual, ...others, output })
}

const layoutOf = (...given: Parameters<typeof choose>) => choose(...given).layout
const DETECT = { task: 'detect', isFinished: false } as const
const FINISHED = { task: 'detect', isFinished: true } as const

describe('the layout of a model', () => {
  it('is that of its metadata first', () => {
    expect(layoutOf([1, 84, 8400], { facts: DETECT })).to.equal('yolov8')
    expect(layoutOf([1, 300, 6], { facts: FINISHED })).to.equal('end-to-end')
    expect(layoutOf([1, 116, 8400], { facts: { ...DETECT, task: 'segment' }, masks: 32 })).to.equal('yolov8')
    expect(layoutOf([1, 300, 38], { facts: { ...FINISHED, task: 'segment' }, masks: 32 })).to.equal('end-to-end')
    expect(layoutOf([1, 80], { facts: { task: 'classify', isFinished: false } })).to.equal('classification')
    expect(layoutOf([1, 6, 6], { facts: FINISHED, classCount: 2 })).to.equal('end-to-end')
  })

  it('is that of the metadata also when decoder.json names another one, with a warning', () => {
    const choice = choose([1, 84, 8400], { facts: DETECT, named: 'yolov5' })

    expect(choice.layout).to.equal('yolov8')
    expect(choice.warnings[0]).to.include('decoder.json names the layout yolov5')
  })

  it('is that of decoder.json where the metadata say nothing, or nothing that fits', () => {
    expect(choose([1, 8400, 85], { named: 'yolov5' })).to.deep.equal({ layout: 'yolov5', warnings: [] })
    const choice = choose([1, 300, 6], { facts: DETECT, named: 'end-to-end' })
    expect(choice.layout).to.equal('end-to-end')
    expect(choice.warnings[0]).to.include('decoder.json counts')
  })

  for (const [what, dims, layout, asked] of [
    ['YOLO v5', [1, 25_200, 85], 'yolov5', {}],
    ['YOLO v5 of one category', [1, 25_200, 6], 'yolov5', { classCount: 1 }],
    ['YOLO v5 with four grids', [1, 102_000, 6], 'yolov5', { classCount: 1, edge: 1280 }],
    ['YOLO v8', [1, 84, 8400], 'yolov8', {}],
    ['YOLO v8 of one category', [1, 5, 8400], 'yolov8', { classCount: 1 }],
    ['YOLO v8 with masks', [1, 116, 8400], 'yolov8', { masks: 32 }],
    ['finished boxes', [1, 300, 6], 'end-to-end', {}],
    ['finished boxes of one category', [1, 300, 6], 'end-to-end', { classCount: 1 }],
    ['finished boxes of one category on a small input', [1, 300, 6], 'end-to-end', { classCount: 1, edge: 64 }],
    ['a hundred finished boxes of one category', [1, 100, 6], 'end-to-end', { classCount: 1 }],
    ['finished boxes of one category with two masks', [1, 300, 8], 'end-to-end', { classCount: 1, masks: 2 }],
    ['finished boxes of two categories', [1, 300, 6], 'end-to-end', { classCount: 2 }],
    [
      'an export of YOLO v10 before it named itself finished',
      [1, 300, 6],
      'end-to-end',
      { classCount: 1, facts: DETECT },
    ],
    ['a classification', [1, 80], 'classification', {}],
  ] as const) {
    it(`is told by the shape [${dims.join(', ')}] of ${what}`, () => {
      expect(choose(dims, asked)).to.deep.equal({ layout, warnings: [] })
    })
  }

  it('is refused where its boxes are shares of the image, whatever its layout, and warned of where it has served', () => {
    for (const [dims, asked] of [
      [[1, 300, 6], { facts: FINISHED, classCount: 1 }],
      [[1, 84, 8400], { facts: DETECT }],
      [[1, 25_200, 85], {}],
      [[1, 8400, 85], { named: 'yolov5' }],
    ] as const) {
      const fill = dims[2] === 6 ? 1 : 0.5
      expect(() => choose(dims, asked, fill), dims.join()).to.throw(
        /boxes are shares of the image .*export it with boxes in pixels/,
      )
      expect(choose(dims, { ...asked, wasServed: true }, fill).warnings.join()).to.contain('it finds nothing')
    }
    expect(layoutOf([1, 300, 6], { facts: FINISHED, classCount: 1 }, 0)).to.equal('end-to-end') // padding alone
    expect(layoutOf([1, 80], { facts: { task: 'classify', isFinished: false } }, 0.5)).to.equal('classification')
  })

  it('is YOLO v5 where the last of six columns are no categories', () => {
    expect(layoutOf([1, 252, 6], { classCount: 1, edge: 64 }, 2.5)).to.equal('yolov5')
  })

  for (const [what, dims, asked, fill] of [
    ['a YOLO v6 or a YOLOX', [1, 8400, 85], {}, 2.5],
    ['as many finished boxes as a YOLO v5 has entries', [1, 252, 6], { classCount: 1, edge: 64 }, 0],
    ['a table of both widths', [1, 6, 7], { classCount: 2 }, 2.5],
  ] as const) {
    it(`is refused when the output may be ${what}, with the way out, unless the model has been served`, () => {
      expect(() => choose(dims, asked, fill))
        .to.throw(/may be that of .* or of .*; name its layout in a decoder\.json beside it, such as \{"layout": "/)
        .with.property('code', 'LF_MODEL_LAYOUT')
      const served = choose(dims, { ...asked, wasServed: true }, fill)
      expect(served.layout).to.equal('yolov5')
      expect(served.warnings[0]).to.include('as before')
    })
  }

  for (const [what, dims, asked, fill] of [
    ['a detection transformer', [1, 300, 84], { facts: DETECT }, 2.5],
    ['a detection transformer of two categories', [1, 300, 6], { facts: DETECT, classCount: 2 }, 2.5],
    ['boxes without anything else', [100, 4], {}, 0],
    ['a map', [1, 80, 160, 160], {}, 0],
    ['another number of categories', [1, 84, 8400], { classCount: 3 }, 0],
    ['a batch', [4, 84, 8400], {}, 0],
    ['more finished boxes than any export has', [1, 5000, 6], {}, 0],
  ] as const) {
    it(`is none for the shape [${dims.join(', ')}] of ${what}`, () => {
      expect(() => choose(dims, asked, fill))
        .to.throw('expected')
        .with.property('code', 'LF_MODEL_OUTPUT')
    })
  }
})
