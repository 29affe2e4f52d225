import { expect } from 'chai'
import {
  boxDetectionSchema,
  categorySchema,
  type DetectorStatusView,
  detectionsUploadSchema,
  dialects,
  imageMetadataSchema,
  type MetricsView,
  modelJsonSchema,
  toAnnotatorStatus,
  toDetections,
  toDetectorReport,
  toDetectorStatus,
  toLocalTimestamp,
  toModelJsonText,
  toTrainingMetrics,
  toUploadedModelJson,
  trainingMetricsSchema,
  withShapeTexts,
} from '../../../src/loop/protocol/index.js'
import { golden, sent } from './golden.js'

const NODE = '85ef1c0e-51d4-4b6b-8d0f-000000000001'
const AT = new Date(2024, 2, 9, 7, 5, 1, 42)

const METRICS: MetricsView = {
  trainerId: NODE,
  trainerName: 'shapes trainer',
  confusionMatrix: {
    '3d2b8d2e-6d0c-4f5e-9f0a-000000000001': { tp: 1, fp: 9, fn: 9 },
    '3d2b8d2e-6d0c-4f5e-9f0a-000000000002': { tp: 0, fp: 0, fn: 3 },
  },
  trainImageCount: 6,
  testImageCount: 2,
  hyperparameters: { resolution: 800, epochs: 10 },
  bestEpoch: 4,
}

const DETECTOR: DetectorStatusView = {
  id: NODE,
  name: 'robot one',
  modelFormat: 'onnx',
  state: 'online',
  errors: { update_model: 'Could not update model: no such file' },
  uptimeSeconds: 61.9,
  currentVersion: '1.0',
  targetVersion: '1.1',
  operationMode: 'idle',
  nodeVersion: '1.4.2',
}

describe('messages built from our own words', () => {
  it('are the golden metrics of the current dialect', () => {
    expect(sent(toTrainingMetrics(METRICS, 'current'))).to.deep.equal(golden('current', 'training-metrics'))
  })

  it('are the golden metrics of dialect 0.8', () => {
    const view = { ...METRICS, hyperparameters: { resolution: 800, flip_rl: false, flip_ud: true } }

    expect(sent(toTrainingMetrics(view, '0.8'))).to.deep.equal(golden('0.8', 'training-metrics'))
  })

  it('are metrics that a Loop for both dialects can read', () => {
    for (const dialect of dialects) {
      expect(trainingMetricsSchema.safeParse(golden(dialect, 'training-metrics')).success).to.equal(true)
    }
  })

  it('are metrics without any category when the program counted nothing', () => {
    const metrics = toTrainingMetrics({ ...METRICS, confusionMatrix: {}, bestEpoch: null }, 'current')

    expect(metrics).to.deep.include({ confusion_matrix: {}, best_epoch: null })
  })

  it('are the golden detector messages', () => {
    expect(sent(toDetectorStatus(DETECTOR))).to.deep.equal(golden('0.8', 'detector-status'))
    expect(sent(toDetectorReport(DETECTOR))).to.deep.equal(golden('current', 'detector-report'))
  })

  it('are the golden annotator status', () => {
    expect(sent(toAnnotatorStatus({ id: NODE, name: 'segmenter' }))).to.deep.equal(golden('both', 'annotator-status'))
  })

  for (const dialect of dialects) {
    it(`are the golden detections of dialect ${dialect}`, () => {
      const [found] = detectionsUploadSchema.parse(golden('current', 'detections'))
      if (found === undefined) throw new Error('The golden message has no entry.')

      const entry = toDetections(found, { imageId: '501205a9-9b64-3df0-3785-507a677b7f05', at: AT }, dialect)

      expect(sent([entry])).to.deep.equal(golden(dialect, 'detections'))
    })
  }

  it('spell local time as the nodes do', () => {
    expect(toLocalTimestamp(AT)).to.equal('2024-03-09_07:05:01.042')
  })

  it('write polygons of a detector as text', () => {
    const metadata = imageMetadataSchema.parse({
      segmentation_detections: [
        {
          category_name: 'a',
          model_name: '1',
          confidence: 1,
          shape: {
            points: [
              { x: 1, y: 2 },
              { x: 3, y: 4.5 },
            ],
          },
        },
        { category_name: 'b', model_name: '1', confidence: 1, shape: '5,6' },
      ],
    })

    expect(withShapeTexts(metadata).segmentation_detections.map((found) => found.shape)).to.deep.equal([
      '1,2,3,4.5',
      '5,6',
    ])
  })

  it('give a trained model a model.json with all seven keys per category', () => {
    const category = categorySchema.parse({ id: 'c', name: 'n', extra: 1 })

    expect(Object.keys(toUploadedModelJson([category]).categories[0] ?? {})).to.have.members([
      'id',
      'name',
      'description',
      'hotkey',
      'color',
      'point_size',
      'type',
    ])
  })

  it('write model.json with a blank after the colon', () => {
    expect(toModelJsonText({ format: 'mocked' })).to.contain('"format": "mocked"')
  })
})

describe('what is read from the Loop', () => {
  it('has an explicit null for each missing optional value', () => {
    expect(categorySchema.parse({ id: 'c', name: 'n' })).to.deep.equal({
      id: 'c',
      name: 'n',
      description: null,
      hotkey: null,
      color: null,
      point_size: null,
      type: null,
    })
  })

  it('keeps keys of a newer Loop in model.json', () => {
    const modelJson = modelJsonSchema.parse({ id: 'm', organization: 'o', project: 'p', version: '1.0', later: true })

    expect(modelJson).to.include({ later: true })
  })

  it('may be image metadata with nothing but an empty list', () => {
    expect(imageMetadataSchema.parse({ box_detections: [] })).to.deep.include({ tags: [], point_detections: [] })
  })

  it('is refused when a box has fractions or a number as name', () => {
    const box = { category_name: 'c', model_name: '1', confidence: 0.5, x: 1, y: 2, width: 3, height: 4 }

    expect(boxDetectionSchema.safeParse(box).success).to.equal(true)
    expect(boxDetectionSchema.safeParse({ ...box, x: 1.5 }).success).to.equal(false)
    expect(boxDetectionSchema.safeParse({ ...box, category_name: 3 }).success).to.equal(false)
    expect(boxDetectionSchema.safeParse({ ...box, confidence: Number.NaN }).success).to.equal(false)
  })
})
