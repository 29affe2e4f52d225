import { execFile } from 'node:child_process'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { queueNames } from '../../src/queue/jobs/names.js'
import { warningsOf } from '../../src/queue/trainings/training-warnings.js'
import { MAIN } from '../helpers/cli-process.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { until } from '../helpers/until.js'

const TALKS = fileURLToPath(new URL('../fixtures/trainers/talks', import.meta.url))
const ON_A_TERMINAL = fileURLToPath(new URL('../fixtures/programs/runs-on-a-terminal.py', import.meta.url))
const ESC = '\u001b'

describe('what a training program prints', function () {
  this.timeout(90_000)
  let fleet: Fleet

  /** `trainings logs` on a terminal, until it ends. */
  async function onTerminal(env: Record<string, string>, ...flags: string[]): Promise<string> {
    const command = [ON_A_TERMINAL, process.execPath, MAIN, 'trainings', 'logs', ...flags, (await fleet.record()).id]
    const inherited = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' }
    const options = {
      env: { ...inherited, TERM: 'xterm-256color', REDIS_URL: fleet.redis.url, ...env },
    }
    return (await promisify(execFile)('python3', command, options)).stdout
  }

  async function jobLog(): Promise<readonly string[]> {
    const { hostId } = await fleet.record()
    const job = await fleet.step('train')
    return await fleet.queues.logs(queueNames.host(hostId ?? '', 'train'), job?.id ?? '')
  }

  it('is followed from before a host takes the training', async () => {
    fleet = await startFleet({ workers: [], threads: 1 })
    await fleet.order({ hyperparameters: { epochs: 3 } })
    const { id } = await fleet.record()

    const followed = fleet.run('trainings', 'logs', '-f', id)
    await until('it waits', async () => (await fleet.run('trainings', 'logs', id)).output.includes('waits for a host'))
    await fleet.startWorker()
    const { exitCode, output } = await followed
    await fleet.until({ ended: true })
    await fleet.close()

    expect(exitCode).to.equal(0)
    expect(output)
      .to.match(/^\[loopfleet: zauberzeug\/shapes#1 waits for a host: .*\]\n/)
      .and.include('epoch 3: ')
  })

  describe('with bars, warnings, titles and bytes that are no text', () => {
    const EXPECTED = [0, 1, 2].flatMap((epoch) => [
      `epoch ${epoch}: 100%|##########| loss 3.14`,
      'Gr\ufffd\ufffde \ufffd end',
    ])
    before(async () => {
      fleet = await startFleet({ trainerFile: join(TALKS, 'talks.yaml'), threads: 1 })
    })
    after(async () => fleet?.close())

    it('is followed on a terminal while it comes, with no control sequence', async () => {
      await fleet.order()
      await until('it is known', async () => fleet.record())

      const output = await onTerminal({}, '-f')

      const lines = output.split('\r\n')
      expect(lines.filter((line) => EXPECTED.includes(line))).to.deep.equal(EXPECTED)
      expect(lines.filter((line) => line === 'UserWarning: the learning rate is high')).to.have.lengthOf(3)
      expect(output.replaceAll('\r\n', '')).not.to.match(/\p{Cc}/u)
      await fleet.until({ ended: true })
    })

    it('is there for later readers, in the log of the job, and on the host as it was printed', async () => {
      const { output } = await fleet.run('trainings', 'logs', '-f', (await fleet.record()).id)

      expect(output.split('\n')).to.include.members(EXPECTED)
      expect(await jobLog()).to.include.members(EXPECTED)
      const kept = await readFile(join(await fleet.workspace(), 'last_training.log'))
      expect(kept.includes(`${ESC}]0;title\u0007`)).to.equal(true)
    })

    it('comes from the host where the fleet has no more of it', async () => {
      const { id, order } = await fleet.record()
      await fleet.link.client.del(`${fleet.link.prefix}:log:${id}`)
      const data = join(fleet.folder, 'elsewhere')
      const folder = join(data, order.organization, order.project, 'trainings')
      await promisify(execFile)('mkdir', ['-p', folder])
      await rename(await fleet.workspace(), join(folder, id))

      const output = await onTerminal({ DATA_FOLDER: data })

      expect(output.split('\r\n')).to.include.members(EXPECTED)
      expect(output.replaceAll('\r\n', '')).not.to.match(/\p{Cc}/u)
    })
  })

  describe('in colours', () => {
    before(async () => {
      fleet = await startFleet({ trainerFile: join(TALKS, 'colours.yaml'), threads: 1 })
      await fleet.order()
      await fleet.until({ ended: true })
    })
    after(async () => fleet?.close())

    const BAR = '      4/4      2.53G      1.234: 100%|####| 3/3'

    it('has its colours on a terminal, ended with each line', async () => {
      expect(await onTerminal({})).to.contain(`${ESC}[34;1m${BAR}${ESC}[0m\r\n`)
    })

    for (const [name, value] of [
      ['NO_COLOR', '1'],
      ['TERM', 'dumb'],
    ] as const) {
      it(`has none with ${name}=${value}`, async () => {
        const output = await onTerminal({ [name]: value })

        expect(output).to.contain(`${BAR}\r\n`)
        expect(output).not.to.contain(ESC)
      })
    }

    it('has none in a pipe and in the log of the job', async () => {
      const { output } = await fleet.run('trainings', 'logs', (await fleet.record()).id)

      expect(output).to.contain(`${BAR}\n`)
      expect(output).not.to.contain(ESC)
      expect(await jobLog()).to.include(BAR)
    })
  })

  it('cannot stop the workers by a line at which a pattern hangs: the pattern is named, and they work on', async () => {
    const limits = { lockMs: 2000, seats: 2, places: 1, workers: ['a', 'b'] }
    fleet = await startFleet({ trainerFile: join(TALKS, 'careless-pattern.yaml'), threads: 1, ...limits })
    try {
      await fleet.order()
      await fleet.order()
      await until('both have ended', async () => (await fleet.journal.list()).every(({ endedAt }) => endedAt), 40_000)

      const records = await fleet.journal.list()
      expect(records.map(({ outcome, run }) => [outcome, run])).to.deep.equal(Array(2).fill(['completed', 1]))
      expect(new Set(records.map(({ hostId }) => hostId)).size).to.equal(2)
      for (const record of records) {
        expect(warningsOf(record)[0]).to.match(
          /^the pattern progress\.log \(.*\) is off for this run: .*"Downloading weights a+/,
        )
        expect(record.best?.epoch, 'the epoch of the last model').to.equal(null)
      }
      const { id = '' } = records[0] ?? {}
      expect((await fleet.run('trainings', 'show', id, '--json')).output).to.contain('is off for this run')
      const shown = (await fleet.run('trainings', 'show', id)).output
      expect(shown).to.match(/^device +the CPU/m)
      expect(shown).to.match(/^warning: the pattern progress\.log \(.*\) is off for this run/m)
      expect((await fleet.run('trainings', 'logs', id)).output).to.contain('the pattern progress.log')
      for (const worker of fleet.workers) expect(await worker.log()).to.contain('pattern switched off')
    } finally {
      await fleet.close()
    }
  })
})
