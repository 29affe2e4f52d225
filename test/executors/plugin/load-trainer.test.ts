import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { loadTrainer } from '../../../src/executors/plugin/load-trainer.js'
import { loadTrainerPlugin } from '../../../src/executors/plugin/trainer-plugin/load-trainer-plugin.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { trainers } from '../support.js'

const env = { PATH: process.env.PATH }
const log = silentLogger()

describe('trainer plug-in', function () {
  this.timeout(30_000)
  const folder = useTemporaryFolder()

  async function write(text: string, name = 'trainer.mjs'): Promise<string> {
    const file = join(folder.path, name)
    await writeFile(file, text)
    return file
  }

  const minimal = (more: string) =>
    `export const trainer = {name: 'mine', format: 'bin', dataset: 'raw', upload: {bin: ['model.bin']}, startFromScratch() {}, ${more}}`

  async function problem(text: string, name?: string): Promise<string> {
    const error = await rejection(loadTrainer(await write(text, name), { env, log }))
    expect(error).to.include({ failure: 'fatal' })
    expect(error)
      .to.have.property('code')
      .that.matches(/^LF_BAD_(PLUGIN|TRAINER_FILE)$/)
    return error.message.replaceAll(folder.path, '')
  }

  it('is a trainer like any other, with all its hooks as commands', async () => {
    const trainer = await loadTrainer(join(trainers, 'plugin/quick.js'), { env, log })

    expect(trainer).to.include({ name: 'quick', format: 'mocked', architecture: 'quick', dataset: 'raw', gpus: 'auto' })
    expect(trainer.models.map((model) => model.name)).to.deep.equal(['small', 'large'])
    expect(trainer.train.scratch.at(-1)).to.equal('scratch')
    expect(trainer.train).to.include.keys('continue', 'resume', 'resume_check')
    expect(trainer.convert.map((step) => step.format)).to.deep.equal(['mocked_converted'])
    expect(trainer.detect).to.deep.include({ format: 'mocked' })
    expect(trainer.cleanup).not.to.equal(undefined)
  })

  it('may lie anywhere, in JavaScript or TypeScript, as an object or made by a function', async () => {
    await mkdir(join(folder.path, 'deep'))
    const typed = `import { defineTrainer, type Training } from 'loopfleet/trainer'
      export function createTrainer() {
        const start = async (training: Training): Promise<void> => { training.report.progress(1) }
        return defineTrainer({ name: 'typed', format: 'bin', dataset: 'raw', upload: { bin: ['model.bin'] }, startFromScratch: start })
      }`

    const typescript = await loadTrainer(await write(typed, 'deep/mine.mts'), { env, log })
    const common = await loadTrainer(
      await write(minimal('').replace('export const trainer =', 'module.exports.trainer ='), 'mine.cjs'),
      { env, log },
    )

    expect(typescript).to.include({ name: 'typed', file: join(folder.path, 'deep/mine.mts') })
    expect(common.name).to.equal('mine')
  })

  it('that is wrong gets a sentence with file, key, value and the way out', async () => {
    expect(await problem(minimal("datset: 'yolo'"))).to.contain(
      'trainer.mjs: unknown key "datset"; did you mean "dataset"?',
    )
    expect(await problem(minimal('newBest: 7'))).to.contain('"newBest" is 7, but it must be a function.')
    expect(await problem(minimal('startFromScratch: undefined'))).to.contain(
      '"startFromScratch" is missing; it must be',
    )
    expect(await problem(minimal('resume() {}'))).to.contain(
      '"canResume" is missing; it must be a function, or "resumeWhen"',
    )
    expect(await problem(minimal("detect: {backend: 'tflite'}"))).to.contain(
      '"detect.backend" is "tflite", but it must be onnx',
    )
    expect(await problem(minimal("format: 'other'"))).to.contain('"format" is "other", but "upload" lists only "bin"')
    expect(await problem('export const coach = {}')).to.contain(
      'must export an object "trainer" or a function "createTrainer()", but exports coach.',
    )
    expect(await problem('export default 1')).to.contain('but exports nothing under a name')
  })

  it('that throws, exits or cannot be parsed fails its loading and nothing else', async () => {
    expect(await problem("throw new Error('no licence')")).to.contain('trainer.mjs: no licence.')
    expect(await problem("console.error('I give up'); process.exit(0)")).to.contain(
      'ended the process that loaded it: I give up.',
    )
    expect(await problem('export const trainer = {')).to.match(/trainer\.mjs: Unexpected/)
    expect(await problem("import 'no-such-package'")).to.contain("Cannot find package 'no-such-package'")
    const error = await rejection(loadTrainer(join(folder.path, 'missing.js'), { env, log }))
    expect(error.message).to.contain('missing.js: cannot be read: ENOENT')
  })

  it('that loops indefinitely is given up', async () => {
    const file = await write('for (;;) {}')

    const error = await rejection(loadTrainerPlugin({ file, env, timeoutMs: 500 }, { log }))

    expect(error.message).to.contain('was not loaded within 0.5 s; does it loop or wait?')
  })

  it('sees no credentials while it is loaded', async () => {
    const text = minimal('').replace("'mine'", "process.env.LOOP_PASSWORD ?? 'unknown'")
    const secret = { ...env, LOOP_PASSWORD: 'secret' }

    expect((await loadTrainer(await write(text), { env: secret, log })).name).to.equal('unknown')
  })
})
