import { expect } from 'chai'
import { toTrainerStatus, trainerStates } from '../../src/loop/protocol/index.js'
import { toSeatStatus } from '../../src/nodes/trainer/seat-status.js'
import { anOrder } from '../queue/orders.js'
import { aRecord } from '../workers/a-training.js'

const identity = { uuid: 'seat-a', name: 'Trainer A' }
const models = [{ name: 'small', label: 'Small', description: '' }]
const profile = { name: 'quick', architecture: 'mocked', models }

describe('the status of a seat', () => {
  it('is idle and tells nothing of a training when there is none', () => {
    const status = toSeatStatus(identity, profile, undefined, 5_000)

    expect(status).to.deep.equal({
      id: 'seat-a',
      name: 'Trainer A',
      pretrainedModels: models,
      architecture: 'mocked',
      state: 'idle',
      errors: {},
      uptimeSeconds: null,
      progress: null,
      context: null,
      trainImageCount: null,
      testImageCount: null,
      skippedImageCount: null,
      hyperparameters: null,
    })
  })

  it('tells how the training is, as the journal has it', () => {
    const order = anOrder({ hyperparameters: { resolution: 640, flip_rl: true } })
    const counts = { trainImageCount: 5, testImageCount: 3, skippedImageCount: 1 }
    const errors = { upload_model: 'The Loop is away.' }
    const record = aRecord({ order, state: 'train_model_uploading', errors, createdAt: 10_000, ...counts })

    const status = toSeatStatus(identity, profile, record, 12_500)

    expect(status).to.deep.include({
      state: 'train_model_uploading',
      errors,
      uptimeSeconds: 2.5,
      context: { organization: 'zauberzeug', project: 'shapes' },
      hyperparameters: { resolution: 640, flip_rl: true },
      ...counts,
    })
  })

  it('says in a last status why a training has failed', () => {
    const record = aRecord({
      state: 'running',
      endedAt: 11_000,
      outcome: 'failed',
      errors: { run_training: 'it died' },
    })

    const status = toSeatStatus(identity, profile, record, 12_000)

    expect(status).to.deep.include({ state: 'ready_for_cleanup', errors: { run_training: 'it died' } })
  })

  it('never goes back in time when clocks differ', () => {
    const view = toSeatStatus(identity, profile, aRecord({ createdAt: 20_000 }), 10_000)

    expect(toTrainerStatus(view, 'current').uptime).to.equal(0)
  })

  for (const state of trainerStates) {
    it(`has exactly the keys of each dialect in state ${state}`, () => {
      const view = toSeatStatus(identity, profile, aRecord({ state }), 2_000_000)
      const shared = [
        'architecture',
        'context',
        'errors',
        'id',
        'name',
        'pretrained_models',
        'progress',
        'state',
        'uptime',
      ]
      const only08 = ['hyperparameters', 'skipped_image_count', 'test_image_count', 'train_image_count']

      expect(Object.keys(toTrainerStatus(view, 'current')).sort()).to.deep.equal(shared)
      expect(Object.keys(toTrainerStatus(view, '0.8')).sort()).to.deep.equal([...shared, ...only08].sort())
    })
  }
})
