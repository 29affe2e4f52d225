import { expect } from 'chai'
import {
  parseImageMetadata,
  toDetectAnswer,
  toImageMetadata,
  toSavedDetection,
  toSavedUpload,
} from '../../src/detector/metadata.js'
import { emptyFindings, type Findings } from '../../src/inference/findings.js'
import { detectionsSchema, imageMetadataSchema } from '../../src/loop/protocol/index.js'

describe('the metadata of an image', () => {
  const at = new Date(2024, 2, 9, 7, 5, 1, 42)
  const current = { dialect: 'current', at } as const
  const older = { dialect: '0.8', at } as const
  const categories = [{ id: 'id-of-cat', name: 'cat' }]
  const cat = { category_name: 'cat', category_id: 'id-of-cat', confidence: 0.5 }
  const findings: Findings = {
    ...emptyFindings(),
    box_detections: [{ ...cat, x: 1, y: 2, width: 3, height: 4 }],
    point_detections: [{ ...cat, x: 1.4, y: 2.6 }],
    segmentation_detections: [{ ...cat, shape: { points: [1, 3].map((x) => ({ x, y: x + 1 })) } }],
  }

  it('answers a detection in the current dialect with tags each once, without causes and without a date', () => {
    const answer = toDetectAnswer(toImageMetadata(findings, '1.2', { tags: ['a', 'b', 'a'], source: 'cam' }), current)

    expect(imageMetadataSchema.parse(answer)).to.deep.equal(answer)
    expect(answer).to.deep.include({ tags: ['a', 'b'], source: 'cam', created: null, box_annotations: [] })
    expect(answer.box_detections).to.deep.equal([{ ...cat, x: 1, y: 2, width: 3, height: 4, model_name: '1.2' }])
    expect(answer.segmentation_detections).to.deep.equal([{ ...cat, shape: '1,2,3,4', model_name: '1.2' }])
  })

  it('answers a detection in dialect 0.8 with whole points, a date and no image id', () => {
    const answer = toDetectAnswer(toImageMetadata(findings, '1.2', { tags: ['a'] }), older)

    expect(detectionsSchema.parse(answer)).to.deep.equal(answer)
    expect(answer).to.deep.include({ tags: ['a'], image_id: null, date: '2024-03-09_07:05:01.042' })
    expect(answer).not.to.have.any.keys('box_annotations', 'created', 'source')
    expect(answer.point_detections).to.deep.equal([{ ...cat, x: 1, y: 3, model_name: '1.2' }])
    expect(answer.segmentation_detections).to.have.nested.property('[0].shape', '1,2,3,4')
  })

  it('is saved with the causes as tags, each once, and with a date', () => {
    const metadata = toImageMetadata(findings, '1.2', { tags: ['uncertain', 'a'] })
    const why = { causes: ['uncertain', 'segmentation_detection'], cameraId: 'front' }

    expect(toSavedDetection(metadata, why, current)).to.deep.include({
      tags: ['uncertain', 'a', 'segmentation_detection'],
      created: '2024-03-09_07:05:01.042',
    })
    expect(metadata.tags, 'the answer keeps its own').to.deep.equal(['uncertain', 'a'])
  })

  it('is saved with the date of the caller if there is one', () => {
    const metadata = toImageMetadata(findings, '1.2', { created: '2020-01-01T00:00:00' })

    expect(toSavedDetection(metadata, { causes: [] }, current).created).to.equal('2020-01-01T00:00:00')
  })

  it('is saved in dialect 0.8 with the camera as a tag, and with an empty date for the outbox to fill', () => {
    const saved = toSavedDetection(
      toImageMetadata(findings, '1.2'),
      { causes: ['uncertain'], cameraId: 'front' },
      older,
    )

    expect(saved).to.deep.include({ tags: ['front', 'uncertain'], date: null, image_id: null })
  })

  it('of an upload always has the tag picked_by_system, also beside given metadata', () => {
    const given = parseImageMetadata({ tags: ['mine', 'picked_by_system'], source: 'hand' })

    expect(toSavedUpload(null, {}, { ...current, categories })).to.deep.include({ tags: ['picked_by_system'] })
    expect(toSavedUpload(given, { tags: ['more'] }, { ...current, categories })).to.deep.include({
      tags: ['mine', 'picked_by_system', 'more'],
      source: 'hand',
    })
    expect(toSavedUpload(null, {}, { ...older, categories })).to.deep.include({
      tags: ['picked_by_system'],
      date: null,
    })
  })

  it('of an upload gets the ids of its categories by name, and none for unknown names', () => {
    const box = { x: 1, y: 2, width: 3, height: 4, model_name: 'm', confidence: 1 }
    const given = parseImageMetadata({
      box_detections: [
        { ...box, category_name: 'cat', category_id: 'wrong' },
        { ...box, category_name: 'dog' },
      ],
      classification_detections: [{ category_name: '__proto__', model_name: 'm', confidence: 1 }],
    })

    const saved = toSavedUpload(given, {}, { ...current, categories })

    expect(saved.box_detections).to.have.nested.property('[0].category_id', 'id-of-cat')
    expect(saved.box_detections).to.have.nested.property('[1].category_id', '')
    expect(saved.classification_detections).to.have.nested.property('[0].category_id', '')
  })

  it('from outside is refused with the wrong field, whatever was sent', () => {
    const box = { category_name: 'cat', x: 1, y: 2, width: 3, height: 4, model_name: 'm', confidence: 1 }
    const hostile: [unknown, string][] = [
      [null, 'the message must be an object'],
      ['text', 'the message must be an object'],
      [[], 'the message must be an object'],
      [{ tags: 'one' }, 'tags must be a list'],
      [{ tags: [1] }, 'tags[0] must be a string'],
      [{ created: 5 }, 'created must be a string'],
      [{ source: {} }, 'source must be a string'],
      [{ box_detections: {} }, 'box_detections must be a list'],
      [{ box_detections: [{ ...box, x: 1.5 }] }, 'box_detections[0].x must be an integer'],
      [{ box_detections: [{ ...box, x: Number.NaN }] }, 'box_detections[0].x must be'],
      [{ box_detections: [{ ...box, confidence: Number.POSITIVE_INFINITY }] }, 'box_detections[0].confidence must be'],
      [{ box_detections: [null] }, 'box_detections[0] must be an object'],
      [{ segmentation_detections: [{ ...box, shape: { points: [{ x: 1 }] } }] }, 'segmentation_detections[0].shape'],
      [{ classification_annotation: 'cat' }, 'classification_annotation must be an object'],
    ]

    for (const [value, sentence] of hostile) {
      expect(() => parseImageMetadata(value), JSON.stringify(value)).to.throw(`metadata: ${sentence}`)
    }
  })

  it('from outside loses what it must not have', () => {
    const parsed = parseImageMetadata(JSON.parse('{"__proto__": {"tags": ["x"]}, "constructor": 1, "more": 2}'))

    expect(parsed).to.deep.equal(toImageMetadata(emptyFindings(), ''))
    expect(Object.keys(parsed)).not.to.include.members(['more', 'constructor', '__proto__'])
  })
})
