import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { TrainerDefinition } from '../../../src/executors/definition/definition.js'
import { warnOfUnknownHyperparameters } from '../../../src/executors/training/unknown-hyperparameters.js'
import type { TrainingOrder } from '../../../src/loop/protocol/index.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { makeDefinition, makeOrder } from '../support.js'

const DECLARED = 'train: {scratch: [t]}\nhyperparameters: {epochs: {type: int}, learning_rate: {type: number}}'

describe('unknown hyperparameters of an order', () => {
  const folder = useTemporaryFolder()

  function warning(
    hyperparameters: TrainingOrder['hyperparameters'],
    definition: TrainerDefinition = makeDefinition(DECLARED),
    more: Partial<TrainingOrder> = {},
  ): Promise<string | undefined> {
    return warnOfUnknownHyperparameters(definition, makeOrder({ hyperparameters, ...more }))
  }

  it('are named, with what may have been meant', async () => {
    expect(await warning({ epochs: 3, lerning_rate: 0.1, momentum: 0.9 })).to.equal(
      'Trainer "test" does not know the hyperparameters "lerning_rate" (did you mean "learning_rate"?), "momentum" of the order; the values are not used.',
    )
  })

  it('are none when the trainer file declares all, or the value says nothing', async () => {
    const hyperparameters = { epochs: 3, resolution: 640, compute_validation_set: true, max_batch_size: 0 }

    expect(await warning({ ...hyperparameters, momentum: null, decay: '' })).to.equal(undefined)
    expect(await warning({ max_batch_size: 8 })).to.contain('hyperparameter "max_batch_size"')
  })

  it('are not what an order in dialect 0.8 always has', async () => {
    const flips = { flip_rl: false, flip_ud: false, resolution: 320 }

    expect(await warning(flips, undefined, { dialect: '0.8' })).to.equal(undefined)
    expect(await warning({ ...flips, flip_rl: true }, undefined, { dialect: '0.8' })).to.contain('"flip_rl"')
    expect(await warning(flips)).to.contain('"flip_rl", "flip_ud"')
  })

  it('are not those that the hyperparameter file has a value for, but those that it has lists for', async () => {
    await writeFile(join(folder.path, 'hyp.yaml'), 'lr0: 0.01\nanchors: [1, 2]\n')
    const yaml = 'train: {scratch: [t]}\nhyperparameter_file: {defaults: hyp.yaml, file: in/hyp.yaml}'
    const definition = makeDefinition(yaml, join(folder.path, 'trainer.yaml'))

    expect(await warning({ lr0: 0.1 }, definition)).to.equal(undefined)
    expect(await warning({ lr0: 0.1, anchors: 3, lr1: 1 }, definition)).to.contain(
      'the hyperparameters "anchors", "lr1" of',
    )
  })

  it('cannot be known for a program that reads training.json itself', async () => {
    expect(await warning({ anything: 1 }, makeDefinition('train: {scratch: [t]}'))).to.equal(undefined)
  })

  it('of any number and length make one bounded sentence', async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`${index}`.padEnd(5000, 'x'), 1]))

    const sentence = await warning({ ...many, ['__proto__']: 1, constructor: 2 })

    expect(sentence).to.have.lengthOf.below(2500).and.contain('and 482 more')
  })
})
