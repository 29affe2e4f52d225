import { expect } from 'chai'
import {
  parseImageMetadata,
  toDetectAnswer,
  toImageMetadata,
  toSavedDetection,
  toSavedUpload,
} from '../../../src/detector/serving/metadata.js'
import { emptyFindings, type Findings } from '../../../src/inference/findings/findings.js'
import { detectionsSchema, imageMetadataSchema } from '../../../src/loop/protocol/index.js'

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

  it('from outside keeps the keys of newer clients, but no reserved ones', () => {
    const json =
      '{"__proto__": {"tags": ["x"]}, "constructor": 1, "image_id": "a", "date": "b", "id": "c", "set": "test", ' +
      '"mission": {"id": 7}, "gps": [1.5, null]}'
    const parsed = parseImageMetadata(JSON.parse(json))

    const known = toImageMetadata(emptyFindings(), '')
    expect(parsed).to.deep.equal({ ...known, mission: { id: 7 }, gps: [1.5, null] })
    expect(parsed.tags).to.deep.equal([])
    for (const options of [current, older]) {
      const saved = toSavedUpload(parsed, {}, { ...options, categories })
      expect(saved).to.deep.include({ mission: { id: 7 }, gps: [1.5, null] })
      expect(saved).not.to.have.any.keys('id', 'set', 'constructor')
      expect(saved.image_id ?? null).to.equal(null)
    }
  })

  for (const [what, more] of [
    ['too many unknown keys', Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`k${index}`, 1]))],
    ['unknown keys that are too large', { thumbnail: 'x'.repeat(70_000) }],
    ['bytes under an unknown key', { raw: [{ bytes: new Uint8Array(3) }] }],
    ['an unknown key that is nested too deep', { deep: JSON.parse(`${'['.repeat(3000)}${']'.repeat(3000)}`) }],
  ] as const) {
    it(`from outside is refused with ${what}`, () => {
      expect(() => parseImageMetadata({ tags: [], ...more }))
        .to.throw(/^metadata: /)
        .with.nested.property('details.status', 422)
    })
  }

  it('keeps the ids that the caller gave where the loaded model knows no better', () => {
    const box = { x: 1, y: 2, width: 3, height: 4 }
    const found = { ...box, model_name: 'm', confidence: 1 }
    const given = parseImageMetadata({
      box_detections: [{ ...found, category_name: 'brand new', category_id: 'of-the-caller' }],
      box_annotations: [
        { ...box, category_name: 'brand new', category_id: 'of-the-caller' },
        { ...box, category_name: 'cat', category_id: 'of-the-caller' },
        { ...box, category_name: 'cat' },
        { ...box, category_name: 'unheard of' },
      ],
      point_annotations: [{ x: 1, y: 2, category_name: 'brand new', category_id: 'of-the-caller' }],
      classification_annotation: { category_name: 'brand new', category_id: 'of-the-caller' },
    })

    const saved = toSavedUpload(given, {}, { ...current, categories })

    const ids = (list: unknown) => (list as { category_id: string | null }[]).map((one) => one.category_id)
    expect(ids(saved.box_detections)).to.deep.equal(['of-the-caller'])
    expect(ids(saved.box_annotations)).to.deep.equal(['of-the-caller', 'of-the-caller', 'id-of-cat', null])
    expect(ids(saved.point_annotations)).to.deep.equal(['of-the-caller'])
    expect(saved.classification_annotation).to.deep.equal({
      category_name: 'brand new',
      category_id: 'of-the-caller',
    })
  })

  it('keeps all ids as they came while no model is loaded', () => {
    const found = { x: 1, y: 2, width: 3, height: 4, model_name: 'm', confidence: 1 }
    const given = parseImageMetadata({
      box_detections: [
        { ...found, category_name: 'cat', category_id: 'of-the-caller' },
        { ...found, category_name: 'cat' },
      ],
    })

    const saved = toSavedUpload(given, {}, { ...current, categories: null })

    expect(saved.box_detections).to.have.nested.property('[0].category_id', 'of-the-caller')
    expect(saved.box_detections).to.have.nested.property('[1].category_id', null)
  })

  it('names the state in which the image enters the Loop, in both dialects', () => {
    const trash = parseImageMetadata({ state: 'trash' })

    expect(toSavedUpload(trash, {}, { ...current, categories })).to.include({ state: 'trash' })
    expect(toSavedUpload(trash, {}, { ...older, categories })).to.include({ state: 'trash' })
    expect(toSavedUpload(null, {}, { ...current, categories })).to.include({ state: null })
    expect(toSavedUpload(null, {}, { ...older, categories })).not.to.have.property('state')
  })
})
