import { expect } from 'chai'
import { buildCommand } from '../../src/executors/program/command.js'
import { commandValues } from '../../src/executors/program/order-values.js'
import type { TrainingOrder } from '../../src/loop/protocol/index.js'
import { category, makeDefinition, makeOrder } from './support.js'

const categories = [category('11111111-aaaa', 'a'), category('22222222-bbbb', 'b'), category('33333333-cccc', 'c')]

/** The arguments that an order makes of one command. */
function argumentsFor(argument: string, hyperparameters: Record<string, unknown>, more: Partial<TrainingOrder> = {}) {
  const declared = `
    epochs: {type: int, default: 2000, min: 1, max: 5000}
    lr: {type: number}
    fast: {type: bool}
    name: {type: text}
    optimizer: {type: text, choices: [SGD, AdamW, --none]}
    sizes: {type: categories, values: number}
    pairs: {type: categories, values: category}`
  const definition = makeDefinition(`train: {scratch: [train, ${argument}]}\nhyperparameters:${declared}`)
  const order = makeOrder({ categories, hyperparameters, ...more })
  const { placeholders, given } = commandValues(definition, order, [])
  return buildCommand(definition, definition.train.scratch, placeholders, given).slice(1)
}

describe('hyperparameters of an order', () => {
  it('stand on the command line, also when the Loop sends them as text', () => {
    const argument = "'{hyperparameters.epochs}', 'lr={hyperparameters.lr}', '{hyperparameters.fast}'"

    expect(argumentsFor(argument, { epochs: '42', lr: '5e-7', fast: 'True' })).to.deep.equal(['42', 'lr=5e-7', 'true'])
    expect(argumentsFor(argument, { epochs: 42.0, lr: -0.5, fast: 0 })).to.deep.equal(['42', 'lr=-0.5', 'false'])
  })

  it('have the default of the trainer file when the order names none or a cleared one', () => {
    for (const hyperparameters of [{}, { epochs: null }, { epochs: '' }, { epochs: '  ' }]) {
      expect(argumentsFor("'{hyperparameters.epochs}'", hyperparameters)).to.deep.equal(['2000'])
    }
  })

  it('without a value and a default are named when a command needs them', () => {
    expect(() => argumentsFor("'{hyperparameters.lr}'", {})).to.throw(
      'uses {hyperparameters.lr}, but the order names no such hyperparameter and the trainer file gives no default',
    )
  })

  it('decide about groups of arguments', () => {
    const argument =
      "--always, {if: lr, then: [--lr, '{hyperparameters.lr}']}, {if: fast, then: [--fast], else: [--slow]}"

    expect(argumentsFor(argument, {})).to.deep.equal(['--always', '--slow'])
    expect(argumentsFor(argument, { lr: 0, fast: true })).to.deep.equal(['--always', '--lr', '0', '--fast'])
    expect(argumentsFor(argument, { lr: '', fast: 'false' })).to.deep.equal(['--always', '--slow'])
  })

  it('let the lease and the variant decide as well', () => {
    const definition = makeDefinition(
      'train: {scratch: [t, {if: gpus, else: [--cpu]}, {if: resolution, then: [--img, "{resolution}"]}]}',
    )
    const build = (gpus: number[], hyperparameters: Record<string, unknown>) => {
      const { placeholders, given } = commandValues(definition, makeOrder({ hyperparameters }), gpus)
      return buildCommand(definition, definition.train.scratch, placeholders, given)
    }

    expect(build([], {})).to.deep.equal(['t', '--cpu'])
    expect(build([0], { resolution: 640 })).to.deep.equal(['t', '--img', '640'])
  })

  it('name categories by id, which become class numbers', () => {
    const argument = "{if: sizes, then: ['{hyperparameters.sizes}']}, {if: pairs, then: ['{hyperparameters.pairs}']}"
    const sizes = '33333333-cccc:0.03, 11111111-aaaa:.5,'
    const pairs = { '11111111-aaaa': '22222222-bbbb' }

    expect(argumentsFor(argument, { sizes, pairs })).to.deep.equal(['2:0.03,0:0.5', '0:1'])
    expect(argumentsFor(argument, { sizes: '', pairs: {} })).to.deep.equal([])
  })

  const bad: Record<string, unknown[]> = {
    epochs: ['many', 0, 5001, 1.5, '1.5', true, '0x10', '1e3', [], {}, Number.NaN, '--evil', '9'.repeat(40)],
    lr: ['x', 'inf', 'nan', Number.POSITIVE_INFINITY, '--evil', '1;rm', [], true, '1e999'],
    fast: ['maybe', 2, [], {}, '--evil'],
    name: ['--evil', '-x', '../../etc/passwd', '/etc/passwd', 'a/b', '.hidden', 'a\nb', 'a\0b', '$(id)', 'a"b', '`id`'],
    optimizer: ['Adam', '--evil', 'SGD ..'],
    sizes: ['11111111-aaaa', '11111111-aaaa:--evil', 'unknown:0.1', '--evil:1', ':1', '11111111-aaaa:nan', 7],
    pairs: ['11111111-aaaa:unknown', '11111111-aaaa:--evil', { '../x': '11111111-aaaa' }],
  }
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      it(`refuse ${JSON.stringify(value)?.slice(0, 40)} for ${name}, naming it`, () => {
        expect(() => argumentsFor("'{hyperparameters.epochs}'", { [name]: value }))
          .to.throw(`Hyperparameter "${name}" is`)
          .with.property('code', 'LF_ORDER_NOT_POSSIBLE')
      })
    }
  }

  it('never add placeholders, arguments or inherited names', () => {
    const argument = "'{hyperparameters.name}', '{hyperparameters.optimizer}'"

    expect(() => argumentsFor(argument, { name: '{workspace}' })).to.throw('Hyperparameter "name"')
    expect(argumentsFor(argument, { name: 'two words', optimizer: '--none' })).to.deep.equal(['two words', '--none'])
    const inherited: Record<string, unknown> = Object.create({ name: 'inherited' })
    expect(() => argumentsFor(argument, inherited)).to.throw('the order names no such hyperparameter')
  })
})
