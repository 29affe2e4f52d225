import { expect } from 'chai'
import {
  ProtocolError,
  parseBeginTraining,
  trainingOrderSchema,
  warningsAboutOrder,
} from '../../../src/loop/protocol/index.js'
import { golden } from './golden.js'

const MODEL = '00000000-0000-0000-0000-000000000011'

function order(config: unknown) {
  return parseBeginTraining('acme', 'demo', config)
}

function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof ProtocolError) return `${error.code} ${error.message}`
    throw error
  }
  return 'accepted'
}

/** A valid current order with some keys replaced. */
function orderWith(changes: object): unknown {
  return { categories: [], training_number: 1, model_variant: 'n', hyperparameters: {}, ...changes }
}

describe('an order to train', () => {
  it('of dialect 0.8 starts from a pretrained model when its id is a name', () => {
    const parsed = order(golden('0.8', 'begin-training-pretrained'))

    expect(parsed).to.deep.include({
      dialect: '0.8',
      organization: 'acme',
      project: 'demo',
      trainingNumber: 7,
      baseModel: { kind: 'pretrained', name: 'small' },
      modelVariant: 'small',
      hyperparameters: { resolution: 800, flip_rl: false, flip_ud: true },
    })
  })

  it('of dialect 0.8 continues a model of the Loop when its id is a uuid', () => {
    const parsed = order(golden('0.8', 'begin-training-continue'))

    expect(parsed).to.deep.include({ baseModel: { kind: 'loop', id: MODEL }, modelVariant: '' })
  })

  it('of the current dialect starts from scratch with its variant', () => {
    const parsed = order(golden('current', 'begin-training-scratch'))

    expect(parsed).to.deep.include({
      dialect: 'current',
      baseModel: { kind: 'none' },
      modelVariant: 'small',
      hyperparameters: { resolution: 800, epochs: 10, fliplr: 0.5 },
    })
  })

  it('of the current dialect continues the named model of the Loop', () => {
    const parsed = order(golden('current', 'begin-training-continue'))

    expect(parsed).to.deep.include({ baseModel: { kind: 'loop', id: MODEL }, modelVariant: '' })
  })

  it('in the union of both dialects counts as current', () => {
    expect(order(golden('union', 'begin-training')).dialect).to.equal('current')
  })

  it('keeps the order of its categories, which is the class order', () => {
    const names = order(golden('union', 'begin-training')).categories.map((category) => category.name)

    expect(names).to.deep.equal(['circle', 'purple point'])
  })

  it('without flips, as releases 0.10 and 0.11 take it, flips nothing', () => {
    const parsed = order({ categories: [], training_number: 1, id: 's', resolution: 640 })

    expect(parsed.hyperparameters).to.deep.equal({ resolution: 640, flip_rl: false, flip_ud: false })
  })

  it('whose base model is no uuid starts from scratch, with a doubt for the log', () => {
    const config = orderWith({ base_model_uuid: 'latest' })

    expect(order(config).baseModel).to.deep.equal({ kind: 'none' })
    expect(warningsAboutOrder(config)).to.have.lengthOf(1)
    expect(warningsAboutOrder(orderWith({ base_model_uuid: MODEL }))).to.deep.equal([])
  })

  it('is read from its own record as it was written', () => {
    const parsed = order(golden('union', 'begin-training'))

    expect(trainingOrderSchema.parse(JSON.parse(JSON.stringify(parsed)))).to.deep.equal(parsed)
  })

  it('drops a __proto__ key of its hyperparameters', () => {
    const config = JSON.parse(
      '{"categories":[],"training_number":1,"model_variant":"","hyperparameters":{"__proto__":{"x":1},"a":1}}',
    )

    const { hyperparameters } = order(config)

    expect(Object.keys(hyperparameters)).to.deep.equal(['a'])
    expect(Object.getPrototypeOf(hyperparameters)).to.equal(Object.prototype)
  })
})

describe('a bad order to train is refused with its first fault:', () => {
  const FAULTS: readonly [config: unknown, sentence: string][] = [
    [undefined, 'the third argument must be an object, got nothing.'],
    [[], 'the third argument must be an object, got an empty list.'],
    [{}, 'categories must be a list, got nothing.'],
    [orderWith({ categories: [{ id: 7, name: 'x' }] }), 'categories[0].id must be a string, got 7.'],
    [
      orderWith({ categories: [{ id: 'a', name: 'x', point_size: 1.5 }] }),
      'categories[0].point_size must be an integer, got 1.5.',
    ],
    [orderWith({ training_number: '7' }), 'training_number must be a number, got "7".'],
    [orderWith({ training_number: true }), 'training_number must be a number, got true.'],
    [orderWith({ training_number: 1.5 }), 'training_number must be an integer, got 1.5.'],
    [orderWith({ training_number: -1 }), 'training_number must be at least 0, got -1.'],
    [orderWith({ training_number: 1e300 }), 'training_number must be at most 9007199254740991, got 1e+300.'],
    [orderWith({ model_variant: null }), 'model_variant must be a string, got null.'],
    [orderWith({ hyperparameters: [1] }), 'hyperparameters must be an object, got a list of 1.'],
    [orderWith({ base_model_uuid: 5 }), 'base_model_uuid must be a string, got 5.'],
    [{ categories: [], training_number: 1, id: '', resolution: 9 }, 'id must not be empty, got "".'],
    [{ categories: [], training_number: 1, id: 's', resolution: 0 }, 'resolution must be at least 1, got 0.'],
  ]

  for (const [config, sentence] of FAULTS) {
    it(sentence, () => {
      expect(refusal(() => order(config))).to.equal(`LF_BAD_ORDER begin_training: ${sentence}`)
    })
  }

  const HOSTILE = [
    '',
    '.',
    '..',
    '../x',
    'a/b',
    'a\\b',
    'a..b',
    '-rf',
    '__proto__',
    'a b',
    'a\u0000',
    'ü',
    'a\n',
    'x'.repeat(201),
    7,
    null,
  ]

  for (const name of HOSTILE) {
    it(`organization or project ${JSON.stringify(name)?.slice(0, 20)}`, () => {
      expect(refusal(() => parseBeginTraining(name, 'demo', orderWith({})))).to.match(
        /^LF_BAD_ORDER .*organization must be/,
      )
      expect(refusal(() => parseBeginTraining('acme', name, orderWith({})))).to.match(/^LF_BAD_ORDER .*project must be/)
    })
  }
})
