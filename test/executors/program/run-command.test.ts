import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { writeWorkspace } from '../../../src/executors/contract/workspace.js'
import { loadTrainerDefinition } from '../../../src/executors/definition/definition.js'
import { type RunCommandOptions, runCommand } from '../../../src/executors/program/run-command.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { makeDefinition, makeOrder, trainers } from '../support.js'

describe('command of a trainer', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()

  async function run(more: Partial<RunCommandOptions> & Pick<RunCommandOptions, 'definition' | 'command'>) {
    const modelFolder = join(folder.path, 'model')
    await mkdir(modelFolder, { recursive: true })
    await writeFile(join(modelFolder, 'model.bin'), '{"epoch": 5}')
    const order = makeOrder()
    await writeWorkspace({ folder: folder.path, order, training: { id: 't1' }, dataset: 'raw' })
    const { signal } = new AbortController()
    const where = { workspace: folder.path, modelFolder, logFile: join(folder.path, 'convert.log') }
    const env = { PATH: process.env.PATH }
    return runCommand(
      { order, owner: `test:${process.pid}:t1.1`, signal, env, ...where, ...more },
      { log: silentLogger() },
    )
  }

  it('converts the files of the model folder', async () => {
    const definition = await loadTrainerDefinition(join(trainers, 'quick/trainer.yaml'))
    const [step] = definition.convert
    await run({ definition, command: step?.command ?? ['missing'] })

    const converted = await readFile(join(folder.path, 'model/model.converted'), 'utf8')

    expect(JSON.parse(converted)).to.deep.equal({ epoch: 5, converted: true })
    expect(await readFile(join(folder.path, 'convert.log'), 'utf8')).to.contain('converted the model of epoch 5')
  })

  it('detects on a folder of images', async () => {
    const definition = await loadTrainerDefinition(join(trainers, 'quick/trainer.yaml'))
    const imagesFolder = join(folder.path, 'links')
    await mkdir(imagesFolder)
    await writeFile(join(imagesFolder, 'i1.jpg'), '')
    const command = definition.detect !== undefined && 'command' in definition.detect && definition.detect.command
    await run({ definition, command: command || ['missing'], imagesFolder, outputFolder: join(folder.path, 'out') })

    const [entry] = JSON.parse(await readFile(join(folder.path, 'out/detections.json'), 'utf8'))

    expect(entry.image_id).to.equal('i1')
    expect(entry.box_detections.map((box: { category_id: string }) => box.category_id)).to.deep.equal(['c1', 'c2'])
  })

  it('that fails names its exit code and its last line, or the known cause', async () => {
    const errors = 'errors: [{log: CUDA out of memory, cause: graphics card is out of memory}]'
    const train = 'train: {scratch: [python, runs-out-of-memory.py]}'
    const command = ['python', 'runs-out-of-memory.py'] as const

    const plain = await rejection(run({ definition: makeDefinition(train), command }))
    const known = await rejection(run({ definition: makeDefinition(`${train}\n${errors}`), command }))

    expect(plain).to.include({ code: 'LF_COMMAND_FAILED', failure: 'program' })
    expect(plain.message).to.contain('exited with code 1; its last line was: RuntimeError: CUDA out of memory')
    expect(known.message).to.equal(
      'The command python runs-out-of-memory.py exited with code 1: graphics card is out of memory.',
    )
  })

  it('is ended by an abort, whose reason is thrown', async () => {
    const abort = new AbortController()
    const definition = makeDefinition('train: {scratch: [python, trains-until-told-to-stop.py]}')
    const command = ['python', 'trains-until-told-to-stop.py'] as const
    const running = rejection(run({ definition, command, signal: abort.signal }))
    await until('it runs', () => readFile(join(folder.path, 'weights/model.bin')).then(Boolean, () => false))

    abort.abort(new Error('stopped by a person'))

    expect((await running).message).to.equal('stopped by a person')
  })
})
