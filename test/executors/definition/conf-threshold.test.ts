import { expect } from 'chai'
import { confThreshold } from '../../../src/executors/definition/conf-threshold.js'
import { warnOfUnknownHyperparameters } from '../../../src/executors/training/unknown-hyperparameters.js'
import { anOrder } from '../../queue/orders.js'
import { aDefinition } from '../../workers/a-training.js'

const trainer = aDefinition({ detect: { backend: 'onnx', format: 'onnx', conf_threshold: 0.4 } })
const ordered = (value?: unknown) => ({ hyperparameters: value === undefined ? {} : { conf_threshold: value } })

describe('the threshold of the detections of a training', () => {
  it('is that of the order, as a number or as its text', () => {
    expect(confThreshold(trainer, ordered(0.7))).to.equal(0.7)
    expect(confThreshold(trainer, ordered('0.25'))).to.equal(0.25)
    expect(confThreshold(trainer, ordered(0))).to.equal(0)
  })

  it('is that of the trainer file where the order names none', () => {
    for (const value of [undefined, null, '']) expect(confThreshold(trainer, ordered(value))).to.equal(0.4)
    expect(confThreshold(aDefinition(), ordered())).to.equal(undefined)
    const program = aDefinition({
      detect: { command: ['python', 'd.py', '{images}', '{output}'], conf_threshold: 0.1 },
    })
    expect(confThreshold(program, ordered())).to.equal(0.1)
  })

  for (const value of [30, -0.1, 'high', true, [], {}, Number.NaN]) {
    it(`is refused when the order says ${JSON.stringify(value)}`, () => {
      expect(() => confThreshold(trainer, ordered(value)))
        .to.throw('must be a number from 0 to 1')
        .with.property('code', 'LF_ORDER_NOT_POSSIBLE')
    })
  }

  it('is no unknown hyperparameter', async () => {
    const known = aDefinition({ hyperparameters: { epochs: { type: 'int', default: 1 } } })

    expect(await warnOfUnknownHyperparameters(known, { ...anOrder(), ...ordered(0.5) })).to.equal(undefined)
  })
})
