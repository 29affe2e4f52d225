import { expect } from 'chai'
import { programEnvironment } from '../../../src/executors/contract/environment.js'
import { buildCommand } from '../../../src/executors/program/command.js'
import { orderValues } from '../../../src/executors/program/order-values.js'

const trainer = { name: 'test', folder: '/trainers/test', python: '.venv/bin/python' }

describe('command of a trainer file', () => {
  it('runs python by the interpreter of the trainer, with the script beside the file', () => {
    expect(buildCommand(trainer, ['python', '-u', 'train.py', 'base_model/model.pt'], {})).to.deep.equal([
      '/trainers/test/.venv/bin/python',
      '-u',
      '/trainers/test/train.py',
      'base_model/model.pt',
    ])
  })

  it('searches a bare program on the PATH and one with a slash beside the file', () => {
    expect(buildCommand({ ...trainer, python: 'python3.11' }, ['python', '-m', 'x'], {})[0]).to.equal('python3.11')
    expect(buildCommand(trainer, ['./train.sh'], {})[0]).to.equal('/trainers/test/train.sh')
    expect(buildCommand(trainer, ['make'], {})[0]).to.equal('make')
  })

  it('fills placeholders once, argument by argument, and leaves other braces alone', () => {
    const command = ['run', '{model}/{model_variant}', '{{model}}', '{"a": {"b": 1}}', '{trainer}'] as const

    const built = buildCommand(trainer, command, { model: '/m y/$(x)', model_variant: '{workspace}' })

    const rest = ['{model}', '{"a": {"b": 1}}', '/trainers/test']
    expect(built).to.deep.equal(['run', '/m y/$(x)/{workspace}', ...rest])
  })

  it('says what is missing when the order does not name it', () => {
    expect(() => buildCommand(trainer, ['run', '{resolution}'], {})).to.throw(/uses \{resolution\}.*hyperparameters/)
  })
})

describe('values of an order', () => {
  const definition = { name: 'test', models: [{ name: 'n', label: '', description: '' }], resolution: 640 }

  it('take the first model and the resolution of the trainer file when the order names none', () => {
    const values = orderValues(definition, { modelVariant: '', hyperparameters: {} })

    expect(values).to.deep.equal({ model_variant: 'n', resolution: '640' })
  })

  it('refuse a model variant that the trainer does not offer', () => {
    const order = { modelVariant: '--evil', hyperparameters: {} }

    expect(() => orderValues(definition, order)).to.throw('Model variant "--evil" is not known')
  })

  for (const modelVariant of ['--evil', '../../etc', 'a/b', 'a\0b', '-x', '$(id)', 'x'.repeat(300)]) {
    it(`refuse the model variant ${JSON.stringify(modelVariant.slice(0, 20))} also of a trainer that lists none`, () => {
      const order = { modelVariant, hyperparameters: {} }

      expect(() => orderValues({ name: 'test', models: [], resolution: undefined }, order)).to.throw(/is not known/)
    })
  }

  for (const resolution of ['640; rm', -1, 1.5, {}, Number.NaN]) {
    it(`refuse the resolution ${JSON.stringify(resolution)}`, () => {
      const order = { modelVariant: '', hyperparameters: { resolution } }

      expect(() => orderValues(definition, order)).to.throw(/is not a number of pixels/)
    })
  }
})

describe('environment of a program', () => {
  const definition = { env: { WANDB_MODE: 'disabled', PYTHONPATH: '/mine' }, folder: '/trainers/test' }

  it('has what the allow-list and the trainer file name, and no credentials', () => {
    const host = {
      PATH: '/bin',
      LOOP_PASSWORD: 'secret',
      LOOP_USERNAME: 'me',
      PASSWORD: 'secret',
      REDIS_URL: 'redis://x',
      NVIDIA_API_KEY: 'secret of another',
    }

    const env = programEnvironment(definition, { host, workspace: '/w', gpus: [1, 3] })

    expect(env).to.include({ PATH: '/bin', WANDB_MODE: 'disabled', CUDA_VISIBLE_DEVICES: '1,3' })
    expect(env).to.include({ CUDA_DEVICE_ORDER: 'PCI_BUS_ID', LOOPFLEET_WORKSPACE: '/w' })
    expect(env.PYTHONPATH).to.match(/executors\/contract\/python:\/mine$/)
    expect(JSON.stringify(env)).not.to.match(/secret|redis:|"me"/)
  })

  it('shows no GPU to a program on the CPU slot', () => {
    expect(programEnvironment(definition, { host: {}, workspace: '/w', gpus: [] }).CUDA_VISIBLE_DEVICES).to.equal('')
  })
})
