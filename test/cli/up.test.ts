import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { expect } from 'chai'
import { removeTree } from '../../src/base/files.js'
import { until } from '../helpers/until.js'
import { startLoop, type TestLoop } from '../mock/loop/start-loop.js'
import { packageRoot, type RunningCli, startCli } from './run-cli.js'

const trainer = join(packageRoot, 'test/fixtures/trainers/quick/trainer.yaml')
const converter = join(packageRoot, 'test/fixtures/converters/after-training/converter.yaml')

describe('loopfleet up', function () {
  this.timeout(90_000)
  let loop: TestLoop
  let folder: string
  let up: RunningCli

  before(async () => {
    loop = await startLoop()
    folder = await mkdtemp(join(tmpdir(), 'loopfleet-up-'))
    up = await startCli(
      ['up', '--trainer', trainer, '--converter', converter, '--gpus', 'none', '--port', '0', '--data', folder],
      {
        cwd: folder,
        env: { LOOP_HOST: loop.host, LOOPFLEET_LOCK_MS: '2000' },
      },
    )
  })

  after(async () => {
    await up?.end('SIGKILL')
    await until('all parts are gone', async () => (await processesNaming(folder)).length === 0, 30_000)
    await removeTree(folder)
    await loop.remove()
  })

  it('trains what the Loop orders, on one machine and from one command', async () => {
    const node = await trainerNode(loop)

    const { training_number } = await order(loop, node)

    const training = await until('the training has ended', () => endedTraining(loop, training_number), 60_000)
    expect(training.errors).to.deep.equal({})
    expect(training.models).to.have.lengthOf(1)
    expect((await fetch(up.facts.dashboard ?? '')).status).to.equal(200)
  })

  it('converts the model of that training to the format that its converter makes', async () => {
    const formats = await until(
      'the further format is at the Loop',
      async () => {
        const made = loop.models('zauberzeug', 'few').flatMap((model) => model.formats)
        return made.includes('mocked_small') ? made : undefined
      },
      60_000,
    )

    expect(formats).to.include.members(['mocked', 'mocked_converted', 'mocked_small'])
  })

  it('starts a trainer node again immediately when the Loop asks it to restart', async () => {
    const node = await trainerNode(loop)
    const [before] = await partsNamed(folder, 'trainer')

    await loop.call('POST', `/api/local/nodes/${node}/restart`)

    await until('the node has a new process', async () => {
      const [now] = await partsNamed(folder, 'trainer')
      return now !== undefined && now !== before
    })
    expect(await trainerNode(loop)).to.equal(node)
  })

  it('starts a part again that was killed', async () => {
    const [worker] = await partsNamed(folder, 'worker')
    expect(worker).to.be.a('number')

    process.kill(worker ?? 0, 'SIGKILL')

    await until(
      'there is another worker',
      async () => {
        const [now] = await partsNamed(folder, 'worker')
        return now !== undefined && now !== worker
      },
      20_000,
    )
  })

  it('ends with 0 on SIGTERM and leaves no process behind', async () => {
    const exitCode = await up.end('SIGTERM')

    expect(exitCode).to.equal(0)
    expect(await processesNaming(folder)).to.deep.equal([])
  })
})

async function trainerNode(loop: TestLoop): Promise<string> {
  return until(
    'an idle trainer is connected',
    async () => {
      const { json } = await loop.call('GET', '/api/local/nodes')
      const nodes: { id: string; state: string; connected: boolean }[] = json.nodes
      return nodes.find((node) => node.connected && node.state === 'idle')?.id
    },
    20_000,
  )
}

async function order(loop: TestLoop, trainer: string) {
  const config = { project_name: 'few', complete: 6, inbox: 2, box_categories: 2, box_annotations: 1 }
  await loop.call('POST', '/api/zauberzeug/projects/generator', config)
  const { json } = await loop.call('POST', '/api/local/zauberzeug/few/trainings', { trainer })
  expect(json.ack.success).to.equal(true)
  return json
}

async function endedTraining(loop: TestLoop, number: number) {
  const { json } = await loop.call('GET', '/api/local/trainings')
  const trainings: { project: string; number: number; ended: string | null; errors: object; models: object[] }[] =
    json.trainings
  return trainings.find((one) => one.project === 'few' && one.number === number && one.ended !== null)
}

/** The pids of all processes, but this one, with the folder in their arguments or their environment. */
async function processesNaming(folder: string): Promise<number[]> {
  return (await visitProcesses()).filter(({ text }) => text.includes(folder)).map(({ pid }) => pid)
}

/** The parts of this `up` that are commands of ours: `node …/main.js worker …`. */
async function partsNamed(folder: string, name: string): Promise<number[]> {
  const isPart = (text: string) =>
    text.includes(folder) && text.includes(`main.js\0${name}\0`) && !text.startsWith('/bin/sh')
  return (await visitProcesses()).filter(({ text }) => isPart(text)).map(({ pid }) => pid)
}

async function visitProcesses(): Promise<{ pid: number; text: string }[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => Number.isInteger(pid) && pid !== process.pid)
  const read = (path: string) => readFile(path, 'latin1').catch(() => '') // it has ended meanwhile
  return Promise.all(
    pids.map(async (pid) => ({
      pid,
      text: (await read(`/proc/${pid}/cmdline`)) + (await read(`/proc/${pid}/environ`)),
    })),
  )
}
