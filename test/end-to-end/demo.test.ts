import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { execa } from 'execa'
import { removeTree } from '../../src/base/files.js'
import { lockFolder } from '../../src/process/folder-lock.js'
import { listProcesses } from '../../src/process/proc.js'
import { stages } from '../../src/queue/names.js'
import { describeProcesses, killAll, processesWith } from '../helpers/fleet-processes.js'
import { until } from '../helpers/until.js'

const MAIN = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/src/cli/main.js' : '../../src/cli/main.js', import.meta.url),
)
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

describe('loopfleet demo', function () {
  this.timeout(240_000)
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-demo-'))
  })
  afterEach(async () => {
    const left = await leftOf(folder)
    killAll(left)
    await removeTree(folder)
  })

  /** The demo as the leader of a process group, as a shell starts it. */
  function startDemo(...flags: string[]) {
    return execa(process.execPath, [MAIN, 'demo', '--short', '--data', folder, ...flags], {
      reject: false,
      detached: true,
      cleanup: false,
      stdin: 'ignore',
    })
  }

  it('ends with a summary read back from the Loop as one JSON object on the last line', async () => {
    const { exitCode, stdout, stderr } = await startDemo('--json')

    expect(exitCode, stderr).to.equal(0)
    const summary = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
    expect(Object.keys(summary)).to.deep.equal([
      'ok',
      'state',
      'train_image_count',
      'test_image_count',
      'f1',
      'model',
      'images_with_detections',
      'precision',
      'recall',
      'stages',
      'seconds',
      'conversion',
      'detector',
      'annotation',
    ])
    expect(summary).to.include({ ok: true, state: 'idle', train_image_count: 160, test_image_count: 80 })
    expect(summary.model).to.have.all.keys('id', 'version', 'formats')
    expect(summary.model.id).to.match(UUID)
    expect(summary.model.version).to.match(/^\d+\.\d+$/)
    expect(summary.model.formats).to.have.members(['shapes_numpy', 'onnx', 'onnx_fp16', 'onnx_int8'])
    expect(summary.images_with_detections).to.be.within(1, 280)
    for (const share of [summary.f1, summary.precision, summary.recall]) expect(share).to.be.within(0, 1)
    expect(summary.stages).to.have.all.keys(...stages)
    for (const seconds of Object.values(summary.stages)) expect(seconds).to.be.a('number').and.at.least(0)
    expect(summary.seconds).to.be.within(summary.stages.train, 200)
    expect(summary.conversion.formats).to.have.members(['onnx_fp16', 'onnx_int8'])
    expect(summary.detector).to.include({ model_version: summary.model.version, images: 20 })
    expect(summary.detector.arrived, 'uncertain images in the inbox again').to.equal(summary.detector.uncertain)
    expect(summary.annotation.points).to.be.at.least(8)
    expect(summary.annotation.box_iou).to.be.within(0.6, 1)

    for (const text of ['Starting a Loop', 'Drawing 280 images', 'running', 'model', 'against truth']) {
      expect(stderr).to.include(text)
    }
    expect(await describeProcesses(await leftOf(folder))).to.equal('')
  })

  it('ends everything on Ctrl-C in the middle, with an exit code that says so', async () => {
    const demo = startDemo('--json')
    await until('it trains', async () => (await programsOf(folder)).length > 0, 120_000)

    const startedAt = performance.now()
    process.kill(-(demo.pid ?? 0), 'SIGINT') // the whole group, as a terminal does
    const { exitCode, signal, stdout } = await demo

    expect((performance.now() - startedAt) / 1000).to.be.below(15)
    expect(signal).to.equal(undefined)
    expect(exitCode).to.equal(130)
    expect(stdout).not.to.include('"ok"')
    await until('nothing is left', async () => (await leftOf(folder)).length === 0, 2000).catch(() => undefined)
    expect(await describeProcesses(await leftOf(folder))).to.equal('')
  })

  it('leaves everything running with --keep until it is ended, and says where', async () => {
    const demo = startDemo('--keep')
    let said = ''
    demo.stderr.on('data', (chunk: Buffer) => {
      said += chunk
    })
    await until('it prints the addresses', () => /detector\s+http\S+/.test(said), 200_000)

    const [, loop = ''] = /local Loop\s+(http\S+)\/#demo\/shapes/.exec(said) ?? []
    const [, dashboard = ''] = /dashboard\s+(http\S+)/.exec(said) ?? []
    expect((await fetch(`${loop}/api/status`)).status).to.equal(200)
    expect((await fetch(dashboard)).status).to.equal(200)
    const [, detector = ''] = /detector\s+(http\S+)/.exec(said) ?? []
    expect(await (await fetch(`${detector}/operation_mode`)).text()).to.contain('idle')

    demo.kill('SIGTERM')
    const { exitCode } = await demo
    expect(exitCode).to.equal(0)
    expect(await describeProcesses(await leftOf(folder))).to.equal('')
  })

  it('says why the training failed, and where the logs are', async () => {
    const trainer = join(folder, 'trainer.yaml')
    const train = { scratch: ['python', 'not-there.py'] }
    await writeFile(
      trainer,
      JSON.stringify({ name: 'mine', format: 'mine', dataset: 'raw', train, upload: { mine: ['m'] } }),
    )

    const { exitCode, stderr } = await startDemo('--trainer', trainer)

    expect(exitCode).to.equal(1)
    expect(stderr).to.contain('The demo failed').and.contain('Last failure in train').and.contain('not-there.py')
    expect(stderr).to.contain(join(folder, 'logs'))
  })

  it('says in one sentence what is wrong with a folder in which another one runs', async () => {
    const another = await lockFolder(folder, 'demo')

    const { exitCode, stderr } = await startDemo()

    expect(exitCode).to.equal(1)
    expect(stderr).to.include(folder).and.include('[LF_FOLDER_LOCKED]')
    expect(stderr).not.to.match(/\n\s+at /)
    await another.release()
  })
})

/** Processes that work in the folder or were started for it. */
async function leftOf(folder: string): Promise<number[]> {
  const all = await Promise.all((await listProcesses()).map(async ({ pid }) => ({ pid, text: await commandOf(pid) })))
  const byCommand = all.filter(({ pid, text }) => pid !== process.pid && text.includes(folder)).map(({ pid }) => pid)
  return [...new Set([...byCommand, ...(await programsOf(folder))])]
}

async function programsOf(folder: string): Promise<number[]> {
  return processesWith('LOOPFLEET_WORKSPACE', (path) => path.startsWith(`${folder}/`))
}

async function commandOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '') // gone by now
  return text.replaceAll('\0', ' ')
}
