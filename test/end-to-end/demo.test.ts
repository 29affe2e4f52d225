import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { execa } from 'execa'
import { removeTree } from '../../src/base/files.js'
import { lockFolder } from '../../src/process/folder-lock/folder-lock.js'
import { listProcesses } from '../../src/process/proc.js'
import { describeProcesses, killAll, processesWith } from '../helpers/fleet-processes.js'
import { isThorough } from '../helpers/thorough.js'
import { until } from '../helpers/until.js'

const MAIN = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/src/cli/main.js' : '../../src/cli/main.js', import.meta.url),
)

// What it prints in the end is read in package.test.ts, where it runs from the packed package.
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

  const sayings = { 'its parts run': 'Drawing 280 images', ...(isThorough && { 'it trains': '  running' }) }
  for (const [moment, saying] of Object.entries(sayings)) {
    it(`ends everything on Ctrl-C while ${moment}, with an exit code that says so`, async () => {
      const demo = startDemo('--json')
      let said = ''
      demo.stderr.on('data', (chunk: Buffer) => {
        said += chunk
      })
      await until(moment, () => said.includes(saying), 120_000)

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
  }

  it('says in one sentence what is wrong with a folder in which another one runs', async () => {
    const another = await lockFolder(folder, 'demo')

    const { exitCode, stderr } = await startDemo()

    expect(exitCode).to.equal(1)
    expect(stderr).to.include(folder).and.include('[LF_FOLDER_LOCKED]')
    expect(stderr).not.to.match(/\n\s+at /)
    await another.release()
  })

  if (isThorough) {
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
      expect(stderr, 'nothing is tried after the failure').not.to.contain('annotator')
      expect(stderr).to.contain('The demo failed').and.contain('Last failure in train').and.contain('not-there.py')
      expect(stderr).to.contain(join(folder, 'logs'))
    })

    it('ends when one of its parts ends, and names it', async () => {
      const demo = startDemo()
      await until('it trains', async () => (await programsOf(folder)).length > 0, 120_000)
      const running = await Promise.all(
        (await leftOf(folder)).map(async (pid) => ({ pid, text: await commandOf(pid) })),
      )
      const loop = running.find(({ text }) => text.includes(' loop '))

      process.kill(loop?.pid ?? 0, 'SIGKILL')
      const { exitCode, stderr } = await demo

      expect(exitCode).to.equal(1)
      expect(stderr, stderr).to.contain('The loop has ended').and.contain('[LF_DEMO_FAILED]')
      expect(await describeProcesses(await leftOf(folder))).to.equal('')
    })
  }
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
