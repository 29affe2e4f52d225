import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../../src/base/logger/logger.js'
import { loadTrainer } from '../../../../src/executors/plugin/load-trainer.js'
import { askResume } from '../../../../src/executors/training/resume-check.js'
import { hasCheckpoint } from '../../../../src/executors/training/start-choice.js'
import { examineCheckpoint } from '../../../../src/executors/training/whole-files/checkpoint-file.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'
import { makeOrder } from '../../support.js'
import { endings, makeModel } from './model-files.js'

const random = () => 0.5

describe('the checkpoint of a training', () => {
  const folder = useTemporaryFolder()
  const path = (name: string) => join(folder.path, name)

  async function stateOf(name: string, content: Uint8Array | string) {
    await writeFile(path(name), content)
    return await examineCheckpoint(path(name))
  }

  for (const kind of ['zip', 'packed-zip', 'commented-zip', 'safetensors', 'onnx'] as const) {
    it(`of kind ${kind} is torn where its writer was broken off, and whole otherwise`, async () => {
      const whole = await makeModel(kind, 5000, random)
      const name = `last${endings[kind]}`
      expect(await stateOf(name, whole)).to.deep.equal({ state: 'whole' })
      for (const share of [0.1, 0.5, 0.99]) {
        const torn = await stateOf(name, whole.subarray(0, Math.floor(whole.length * share)))
        expect(torn.state, `${share}`).to.equal('torn')
      }
    })
  }

  it('is torn when it is empty, as a full disk leaves it, unless it is a mere sign', async () => {
    expect(await stateOf('last.pt', '')).to.deep.equal({ state: 'torn', problem: 'it is empty' })
    expect(await stateOf('state.json', '')).to.deep.equal({ state: 'torn', problem: 'it is empty' })
    expect(await stateOf('resume.ok', '')).to.deep.equal({ state: 'whole' })
  })

  it('in JSON is torn when it is cut off; Python may have written NaN', async () => {
    expect(await stateOf('state.json', '{"epoch": 3, "loss": 0.')).to.include({ state: 'torn' })
    expect(await stateOf('state.json', '{"epoch": 3, "loss": NaN}')).to.deep.equal({ state: 'whole' })
  })

  it('counts as whole when its content does not tell, and is missing when there is no file', async () => {
    expect(await stateOf('state.bin', 'whatever')).to.deep.equal({ state: 'whole' })
    await mkdir(path('folder.pt'))
    expect(await examineCheckpoint(path('folder.pt'))).to.deep.equal({ state: 'missing' })
    expect(await examineCheckpoint(path('none.pt'))).to.deep.equal({ state: 'missing' })
  })

  it('that is a link counts as what it leads to, and as torn when it leads nowhere', async () => {
    await mkdir(path('run'))
    await writeFile(path('run/epoch=2.ckpt'), await makeModel('zip', 5000, random))
    await symlink('epoch=2.ckpt', path('run/last.ckpt'))
    await symlink('run/epoch=2.ckpt', path('run/wrong.ckpt')) // as from the workspace, not from its own folder

    await symlink('loop.ckpt', path('loop.ckpt'))

    expect(await examineCheckpoint(path('loop.ckpt'))).to.include({ state: 'torn' })
    expect(await examineCheckpoint(path('run/last.ckpt'))).to.deep.equal({ state: 'whole' })
    expect(await examineCheckpoint(path('run/wrong.ckpt'))).to.deep.equal({
      state: 'torn',
      problem: 'it is a link to run/epoch=2.ckpt, which is not there',
    })
  })

  it('is not gone on from when it is torn, and the log says so', async () => {
    const train = { scratch: ['python', 'train.py'], resume: ['python', 'train.py'], resume_when: 'last.pt' }
    const file = { name: 'torn', format: 'pt', dataset: 'raw', train, upload: { pt: ['model.pt'] } }
    await writeFile(path('trainer.yaml'), JSON.stringify(file))
    await writeFile(path('train.py'), '')
    const log = silentLogger()
    const definition = await loadTrainer(path('trainer.yaml'), { env: { PATH: process.env.PATH }, log })
    const whole = await makeModel('zip', 5000, random)
    const said: string[] = []
    const ask = () =>
      askResume(
        {
          definition,
          workspace: folder.path,
          order: makeOrder(),
          owner: `test:${process.pid}:t1.1`,
          logFile: path('last_training.log'),
          signal: new AbortController().signal,
        },
        { log, say: (line) => said.push(line) },
      )

    await writeFile(path('last.pt'), whole.subarray(0, 2000))
    const torn = await ask()
    expect(torn.kind).to.equal('unusable')
    expect(JSON.stringify(torn)).to.contain('the checkpoint last.pt is not whole: ')
    expect(await hasCheckpoint(definition, folder.path)).to.equal(false)

    await writeFile(path('last.pt'), whole)
    expect(await ask()).to.deep.equal({ kind: 'resume' })
    expect(said).to.deep.equal([])
  })

  it('is torn by any file that is listed for it, but not by folders and files that are not there', async () => {
    const torn: string[] = []
    const command = ['python', 'train.py'] as const
    const train = { scratch: command, resume: command, resume_when: 'state.txt' }
    const ask = (checkpoint: string[]) =>
      hasCheckpoint({ train, checkpoint }, folder.path, (problem) => torn.push(problem))
    await mkdir(path('weights'))
    await writeFile(path('state.txt'), 'epoch 3')
    await writeFile(path('last.safetensors'), (await makeModel('safetensors', 5000, random)).subarray(0, 900))

    expect(await ask(['state.txt', 'weights', 'none.pt'])).to.equal(true)
    expect(torn).to.deep.equal([])
    expect(await ask(['state.txt', 'last.safetensors'])).to.equal(false)
    expect(torn).to.have.length(1)
    expect(await hasCheckpoint({ train: { ...train, resume_when: 'other.txt' } }, folder.path)).to.equal(false)
    expect(await hasCheckpoint({ train: { scratch: command } }, folder.path)).to.equal(false)
  })
})
