import { expect } from 'chai'
import {
  dialectOfTrainerStatus,
  dialects,
  parseTrainerState,
  type TrainerStatusView,
  toStateText,
  toTrainerStatus,
  trainerStates,
  trainerStatusSchema,
} from '../../../src/loop/protocol/index.js'
import { golden, sent } from './golden.js'

const RUNNING: TrainerStatusView = {
  id: '85ef1c0e-51d4-4b6b-8d0f-000000000001',
  name: 'shapes trainer',
  state: 'running',
  errors: { run_training: 'out of memory' },
  uptimeSeconds: 12.5,
  progress: 0.25,
  pretrainedModels: [
    { name: 'small', label: 'Small', description: 'a small model' },
    { name: 'large', label: 'Large', description: '' },
  ],
  architecture: 'shapes',
  context: { organization: 'acme', project: 'demo' },
  trainImageCount: 6,
  testImageCount: 2,
  skippedImageCount: 1,
  hyperparameters: { resolution: 800, flip_rl: false, flip_ud: true },
}

describe('the trainer status', () => {
  for (const dialect of dialects) {
    it(`of a running training is the golden message of dialect ${dialect}`, () => {
      expect(sent(toTrainerStatus(RUNNING, dialect))).to.deep.equal(golden(dialect, 'trainer-status-running'))
    })

    it(`of an upload is the golden message of dialect ${dialect}`, () => {
      const view: TrainerStatusView = {
        ...RUNNING,
        state: 'train_model_uploading',
        errors: {},
        uptimeSeconds: 80,
        progress: 0.9,
      }

      expect(sent(toTrainerStatus(view, dialect))).to.deep.equal(golden(dialect, 'trainer-status-uploading'))
    })

    it(`says nothing about a training when idle in dialect ${dialect}`, () => {
      const view: TrainerStatusView = { ...RUNNING, state: 'idle', progress: 0 }

      expect(sent(toTrainerStatus(view, dialect))).to.deep.equal(golden(dialect, 'trainer-status-idle'))
    })

    it(`reveals dialect ${dialect} by its shape, also after parsing`, () => {
      const status = toTrainerStatus(RUNNING, dialect)

      expect(dialectOfTrainerStatus(status)).to.equal(dialect)
      expect(dialectOfTrainerStatus(trainerStatusSchema.parse(status))).to.equal(dialect)
    })

    it(`reports every state so that it can be read again in dialect ${dialect}`, () => {
      const read = trainerStates.map((state) => parseTrainerState(toStateText(state, dialect), dialect))

      expect(read).to.deep.equal([...trainerStates])
    })
  }

  it('carries a progress only while downloading data, running and detecting in the current dialect', () => {
    const withProgress = trainerStates.filter(
      (state) => toTrainerStatus({ ...RUNNING, state }, 'current').progress !== null,
    )

    expect(withProgress).to.deep.equal(['data_downloading', 'running', 'detecting'])
  })

  it('reports a progress within 0 and 1, and none that is no number', () => {
    const reported = [-1, 7, Number.NaN, null].map(
      (progress) => toTrainerStatus({ ...RUNNING, progress }, '0.8').progress,
    )

    expect(reported).to.deep.equal([0, 1, null, null])
  })

  it('names no hyperparameters in dialect 0.8 when the order has no resolution', () => {
    const status = toTrainerStatus({ ...RUNNING, hyperparameters: { epochs: 3 } }, '0.8')

    expect(status.hyperparameters).to.equal(null)
  })

  it('with raw state names in the 0.8 shape, as releases 0.10 and 0.11 send it, is understood', () => {
    expect(parseTrainerState('train_model_uploading', '0.8')).to.equal('train_model_uploading')
  })

  it('with an unknown state is told apart from all others', () => {
    expect(parseTrainerState('constructor', '0.8')).to.equal(undefined)
    expect(parseTrainerState('Downloading data', 'current')).to.equal(undefined)
  })

  it('that is broken in dialect 0.8 is not taken for a current one', () => {
    const broken = { ...toTrainerStatus(RUNNING, '0.8'), hyperparameters: { resolution: 'big' } }

    expect(trainerStatusSchema.safeParse(broken).success).to.equal(false)
  })
})
