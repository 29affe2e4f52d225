import { expect } from 'chai'
import type { z } from 'zod'
import {
  arrayImageSchema,
  cameraIdOf,
  confusionMatrixSchema,
  dataAnswerSchema,
  deploymentTargetSchema,
  detectEventSchema,
  detectorTargetSchema,
  generatorConfigSchema,
  imagesAnswerSchema,
  modelsAnswerSchema,
  ProtocolError,
  parseMessage,
  trainerStatusSchema,
  uploadEventSchema,
  userInputSchema,
  versionChoiceSchema,
} from '../../../src/loop/protocol/index.js'
import { golden } from './golden.js'

function complaint(schema: z.ZodType, value: unknown): string {
  try {
    parseMessage(schema, value, 'message')
  } catch (error) {
    if (error instanceof ProtocolError) return error.message
    throw error
  }
  return 'accepted'
}

/** A golden user input with other coordinates. */
function inputAt(coordinate: unknown): unknown {
  const input = userInputSchema.parse(golden('both', 'user-input'))
  return { ...input, data: { ...input.data, coordinate } }
}

describe('a malformed message is refused with a sentence that names the field', () => {
  const CASES: readonly [title: string, schema: z.ZodType, value: unknown, sentence: string][] = [
    ['data without ids', dataAnswerSchema, {}, 'message: image_ids must be a list, got nothing.'],
    [
      'data with a number as id',
      dataAnswerSchema,
      { image_ids: ['a', 7] },
      'message: image_ids[1] must be a string, got 7.',
    ],
    ['text instead of models', modelsAnswerSchema, '<html>', 'message: the message must be an object, got "<html>".'],
    [
      'an image of an unknown set',
      imagesAnswerSchema,
      { images: [{ id: 'a', set: 'holdout', width: 1, height: 1 }] },
      'message: images[0].set must be one of "train", "test", "val", got "holdout".',
    ],
    [
      'an image of infinite width',
      imagesAnswerSchema,
      { images: [{ id: 'a', set: 'test', width: Number.POSITIVE_INFINITY, height: 1 }] },
      'message: images[0].width must be a number, got Infinity.',
    ],
    [
      'negative counts',
      confusionMatrixSchema,
      { c: { tp: -1, fp: 0, fn: 0 } },
      'message: c.tp must be at least 0, got -1.',
    ],
    [
      'a target without model',
      deploymentTargetSchema,
      { model_uuid: null, version: null },
      'message: model_uuid must be a string, got null.',
    ],
    [
      'a target without its version key',
      detectorTargetSchema,
      { target_model_id: 'x' },
      'message: target_model_version must be a string, got nothing.',
    ],
    ['a status with a number as id', trainerStatusSchema, { id: 7 }, 'message: id must be a string, got 7.'],
    [
      'a user input between two pixels',
      userInputSchema,
      inputAt({ x: 1.5, y: 2 }),
      'message: data.coordinate.x must be an integer, got 1.5.',
    ],
    [
      'a project that leads out of its folder',
      generatorConfigSchema,
      { project_name: '../x' },
      'message: project_name must be letters, digits, "_", "-" and single dots, with a letter or digit in front, got "../x".',
    ],
    [
      'a project of endless images',
      generatorConfigSchema,
      { project_name: 'x', inbox: 1e9 },
      'message: inbox must be at most 1000000, got 1000000000.',
    ],
  ]

  for (const [title, schema, value, sentence] of CASES) {
    it(title, () => {
      expect(complaint(schema, value)).to.equal(sentence)
    })
  }

  it('and never with the whole of a long value', () => {
    expect(complaint(deploymentTargetSchema, 'x'.repeat(10_000)).length).to.be.lessThan(150)
  })
})

describe('a hostile key', () => {
  it('of a confusion matrix reaches no prototype', () => {
    const matrix = confusionMatrixSchema.parse(
      JSON.parse('{"__proto__":{"tp":1,"fp":1,"fn":1},"constructor":{"tp":1,"fp":1,"fn":1}}'),
    )

    expect(Object.keys(matrix)).to.deep.equal(['constructor'])
    expect(Object.getPrototypeOf(matrix)).to.equal(Object.prototype)
  })

  it('of a message that lets unknown keys through reaches no prototype', () => {
    const answer = modelsAnswerSchema.parse(JSON.parse('{"models":[],"__proto__":{"polluted":true}}'))

    expect(answer).to.not.have.property('polluted')
    expect({}).to.not.have.property('polluted')
  })
})

describe('a detector’s socket', () => {
  it('takes encoded images and raw pixels', () => {
    const raw = { bytes: new Uint8Array(12), dtype: 'uint8', shape: [2, 2, 3] }

    expect(detectEventSchema.safeParse({ image: Buffer.from('jpeg') }).success).to.equal(true)
    expect(detectEventSchema.safeParse({ image: raw }).success).to.equal(true)
    expect(uploadEventSchema.parse({ image: raw })).to.deep.include({ upload_priority: false, metadata: null })
  })

  it('knows a camera under any of its three names', () => {
    const image = Buffer.from('jpeg')
    const ids = [{ camera_id: 'a' }, { 'camera-id': 'b' }, { mac: 'c' }, {}].map((names) =>
      cameraIdOf(detectEventSchema.parse({ image, ...names })),
    )

    expect(ids).to.deep.equal(['a', 'b', 'c', null])
  })

  for (const shape of [[2, 2], [2, 2, 3, 4], [0, 2, 3], [-1, 2, 3], [1.5, 2, 3], 'wide', null]) {
    it(`refuses pixels of shape ${JSON.stringify(shape)}`, () => {
      expect(arrayImageSchema.safeParse({ bytes: new Uint8Array(12), dtype: 'uint8', shape }).success).to.equal(false)
    })
  }

  for (const choice of ['', '1.', '.1', '1..2', '../1', 'FOLLOW_LOOP', '1.0\n', '9'.repeat(101)]) {
    it(`refuses ${JSON.stringify(choice).slice(0, 20)} as version`, () => {
      expect(versionChoiceSchema.safeParse(choice).success).to.equal(false)
    })
  }

  it('takes a version or a mode as choice', () => {
    for (const choice of ['1.0', '12', 'pause', 'follow_loop'])
      expect(versionChoiceSchema.parse(choice)).to.equal(choice)
  })
})
