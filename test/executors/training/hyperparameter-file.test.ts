import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { execa } from 'execa'
import { parse } from 'yaml'
import { writeHyperparameterFile } from '../../../src/executors/training/hyperparameter-file.js'
import { PYTHON_BYTECODE } from '../../helpers/python-environment.js'
import { preparedPython } from '../../helpers/python-environments.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { makeDefinition, makeOrder } from '../support.js'

const DEFAULTS = `# what the script knows
lr0: 0.01 # initial learning rate
fl_gamma: 0.0
warmup: 1.0e-4
layers: 3
mosaic: true
optimizer: SGD
fliplr: 0.0
flipud: 0.0
anchors: [1, 2]
nothing: ~
`

describe('file of hyperparameters', () => {
  const folder = useTemporaryFolder()

  async function write(hyperparameters: Record<string, unknown>, defaults = DEFAULTS): Promise<string> {
    await mkdir(join(folder.path, 'trainer'), { recursive: true })
    await writeFile(join(folder.path, 'trainer/defaults.yaml'), defaults)
    const definition = makeDefinition(
      `train: {scratch: [t]}
hyperparameters: {flip_rl: {type: bool}, flip_ud: {type: bool}}
hyperparameter_file:
  defaults: defaults.yaml
  file: in/hyp.yaml
  set: [{if: flip_rl, then: {fliplr: 0.5}}, {if: flip_ud, then: {flipud: 0.5, mode: 'off'}}]
`,
      join(folder.path, 'trainer/trainer.yaml'),
    )
    await writeHyperparameterFile({ definition, workspace: folder.path, order: makeOrder({ hyperparameters }) })
    return readFile(join(folder.path, 'in/hyp.yaml'), 'utf8')
  }

  it('has the defaults as they are when the order says nothing', async () => {
    expect(await write({})).to.equal(DEFAULTS.replace('[1, 2]', '[ 1, 2 ]'))
  })

  it('has the values of the order for the keys it knows, in the type of the default', async () => {
    const text = await write({ lr0: '5e-7', fl_gamma: 2, layers: '4', mosaic: 'False', optimizer: 'off', strange: 1 })

    expect(text).to.contain('lr0: 5.0e-7 # initial learning rate\n')
    expect(text).to.contain('fl_gamma: 2.0\n').and.contain('layers: 4\n').and.contain('mosaic: false\n')
    expect(text).to.contain('optimizer: "off"\n').and.contain('warmup: 1.0e-4\n')
    expect(text).not.to.contain('strange')
  })

  it('keeps the default of a value that was cleared, and lists as they are', async () => {
    const values = parse(await write({ lr0: '', layers: null, anchors: '9', nothing: 1.5 }))

    expect(values).to.deep.include({ lr0: 0.01, layers: 3, anchors: [1, 2], nothing: 1.5 })
  })

  it('gets what the order switches on', async () => {
    expect(parse(await write({ flip_rl: true, flip_ud: false, fliplr: 0.1 }))).to.include({ fliplr: 0.5, flipud: 0 })
    expect(parse(await write({ flip_ud: '1' }))).to.include({ fliplr: 0, flipud: 0.5, mode: 'off' })
  })

  it('is read by Python with the same types', async function () {
    this.timeout(120_000)
    const python = await preparedPython('yaml')
    const text = await write({ lr0: 1e-7, fl_gamma: -3, mosaic: 0, optimizer: 'yes' })

    const script = 'import sys, yaml; print(repr(list(yaml.safe_load(sys.stdin).values())[:6]))'
    const { stdout } = await execa(python, ['-c', script], { input: text, env: PYTHON_BYTECODE })

    expect(stdout).to.equal("[1e-07, -3.0, 0.0001, 3, False, 'yes']")
  })

  it('has what the trainer file adds as Python reads it, whatever it looks like', async function () {
    this.timeout(120_000)
    const python = await preparedPython('yaml')
    const then = { on: 'yes', '12:30': '1_000', '=': '=', y: 'a\u2028b\u007f', '~': ' #', rate: 1e-7 }
    await writeFile(join(folder.path, 'd.yaml'), 'rate: 1\n')
    const set = JSON.stringify([{ if: 'flag', then }])
    const yaml = `train: {scratch: [t]}\nhyperparameters: {flag: {type: bool, default: true}}`
    const written = `hyperparameter_file: {defaults: d.yaml, file: hyp.yaml, set: ${set}}`
    const definition = makeDefinition(`${yaml}\n${written}`, join(folder.path, 'trainer.yaml'))
    await writeHyperparameterFile({ definition, workspace: folder.path, order: makeOrder() })

    const script = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))'
    const { stdout } = await execa(python, ['-c', script, join(folder.path, 'hyp.yaml')], { env: PYTHON_BYTECODE })

    expect(JSON.parse(stdout)).to.deep.equal(then)
  })

  for (const [name, value] of Object.entries({
    lr0: '0.1\nweights: /etc/passwd',
    layers: 2.5,
    mosaic: 'perhaps',
    optimizer: '../../evil',
    nothing: '/etc/passwd',
  })) {
    it(`refuses ${JSON.stringify(value)} for ${name}`, async () => {
      const error = await rejection(write({ [name]: value }))

      expect(error).to.include({ code: 'LF_ORDER_NOT_POSSIBLE', failure: 'fatal' })
      expect(error.message).to.contain(`Hyperparameter "${name}" is`)
    })
  }

  it('without readable defaults names their path and what is wrong', async () => {
    expect((await rejection(write({}, 'a: [1\n'))).message).to.contain('trainer/defaults.yaml cannot be used')
    expect((await rejection(write({}, '- a\n'))).message).to.contain('it is no map of keys')
    const definition = makeDefinition('train: {scratch: [t]}\nhyperparameter_file: {defaults: no.yaml, file: a.yaml}')
    const error = await rejection(writeHyperparameterFile({ definition, workspace: folder.path, order: makeOrder() }))
    expect(error).to.include({ code: 'LF_BAD_TRAINER_FILE' })
    expect(error.message).to.contain('no.yaml cannot be read')
  })
})
