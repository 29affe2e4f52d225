import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { createFleet } from '../../src/queue/fleet/fleet.js'
import { converterFile, startConverterFleet } from '../helpers/converter-fleet.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'

const QUICK = fileURLToPath(new URL('../fixtures/trainers/quick', import.meta.url))
const BROKEN_PYTHON = '#!/bin/sh\necho "ModuleNotFoundError: No module named encodings" >&2\nexit 1\n'
const REASON =
  /^Its preflight fails: The interpreter python3 exited with code 1; its last line was: ModuleNotFoundError/

describe('preflight', function () {
  this.timeout(120_000)
  const folder = useTemporaryFolder()
  let fleet: Fleet

  afterEach(async () => fleet?.close())

  it('keeps all work of two trainers from a host whose interpreter is broken', async () => {
    const second = await copyOfQuick('second')
    const pathInFront = await brokenPython()
    fleet = await startFleet({ moreTrainers: [second], seats: 6, workers: [], places: 2 })
    const broken = await fleet.startWorker({ data: 'broken', pathInFront })
    await untilNotServed(broken.hostId, 2)

    for (let order = 0; order < 12; order += 1)
      await fleet.order({ hyperparameters: { epochs: 1, epoch_seconds: 0.01 } })
    const sentence = `Preflight fails on ${broken.hostId}: The interpreter python3 exited with code 1; its last line was: ModuleNotFoundError`
    await until('the Loop knows why', () => fleet.seen().errors.prepare?.startsWith(sentence), 20_000)
    const [waiting, shown] = [
      await fleet.run('trainings'),
      await fleet.run('trainings', 'show', (await fleet.record()).id),
    ]
    const fit = await fleet.startWorker({ data: 'fit' })
    const records = await allEnded(12)
    const hosts = await fleet.run('hosts')

    expect(records.map(({ outcome }) => outcome)).to.deep.equal(Array(12).fill('completed'))
    expect(new Set(records.map(({ hostId }) => hostId))).to.deep.equal(new Set([fit.hostId]))
    expect(new Set(records.map(({ trainer }) => trainer))).to.deep.equal(new Set(['quick', 'second']))
    expect(waiting.output.split(` waits: ${sentence}`)).to.have.lengthOf(13)
    expect(shown.output).to.contain(sentence)
    expect(fleet.seen().errors).to.deep.equal({})
    expect(await notServed(broken.hostId)).to.satisfy((all: { reason: string }[]) =>
      all.every(({ reason }) => REASON.test(reason)),
    )
    expect(hosts.output).to.contain(`${broken.hostId}: trainer second not served: Its preflight fails: The interpreter`)
    expect(await broken.log()).to.contain('preflight failed')
  })

  it('leaves a training whose script fails at run time to fail with its cause, and the host goes on serving', async () => {
    const trainerFile = await copyOfQuick('broken')
    await writeFile(join(folder.path, 'broken/quick.py'), 'import json\nraise RuntimeError("layer 7 is missing")\n')
    fleet = await startFleet({ trainerFile })
    await fleet.order()

    await fleet.until({ ended: true })

    expect(fleet.seen().errors.run_training).to.contain('RuntimeError: layer 7 is missing')
    expect(await fleet.record()).to.include({ outcome: 'failed' })
    expect(await notServed(fleet.workers[0]?.hostId)).to.deep.equal([])
  })

  it('stops serving a trainer when a failed program shows what was unknown before', async () => {
    const trainerFile = await copyOfQuick('brings')
    await mkdir(join(folder.path, 'brings/lib/site-packages'), { recursive: true })
    await writeFile(join(folder.path, 'brings/lib/site-packages/bpy.py'), '')
    const script = await readFile(join(QUICK, 'quick.py'), 'utf8')
    await writeFile(join(folder.path, 'brings/quick.py'), `import bpy\nimport mathutils\n${script}`)
    await writeFile(
      trainerFile,
      `${await readFile(trainerFile, 'utf8')}\nenv: {PYTHONPATH: ${join(folder.path, 'brings/lib/site-packages')}}\n`,
    )
    fleet = await startFleet({ trainerFile })
    await fleet.order()

    const [only] = await untilNotServed(fleet.workers[0]?.hostId, 1)
    await fleet.until({ ended: true })

    expect(only?.reason).to.match(/finds no module mathutils, which quick\.py imports in line 2\.$/)
    expect(await fleet.record()).to.include({ outcome: 'failed' })
  })

  async function brokenPython(): Promise<string> {
    const bin = join(folder.path, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'python3'), BROKEN_PYTHON)
    await chmod(join(bin, 'python3'), 0o755)
    return bin
  }

  async function copyOfQuick(name: string): Promise<string> {
    await cp(QUICK, join(folder.path, name), { recursive: true })
    const file = join(folder.path, name, 'trainer.yaml')
    await writeFile(file, (await readFile(file, 'utf8')).replace('name: quick', `name: ${name}`))
    return file
  }

  async function notServed(hostId: string | undefined) {
    const hosts = await createFleet(fleet.link).hosts()
    return hosts.find((host) => host.hostId === hostId)?.notServed ?? []
  }

  function untilNotServed(hostId: string | undefined, count: number) {
    return until(
      `${hostId} does not serve ${count}`,
      async () => {
        const found = (await notServed(hostId)).filter(({ reason }) => reason.startsWith('Its preflight fails'))
        return found.length === count ? found : undefined
      },
      20_000,
    )
  }

  function allEnded(count: number) {
    return until(
      `${count} have ended`,
      async () => {
        const all = await fleet.journal.list()
        return all.length === count && all.every(({ outcome }) => outcome !== null) ? all : undefined
      },
      90_000,
    )
  }
})

describe('preflight of a converter', function () {
  this.timeout(120_000)
  const folder = useTemporaryFolder()

  it('keeps conversions from a host on which the command of the converter file fails', async () => {
    const converters = await startConverterFleet()
    try {
      const source = converterFile('a-to-b')
      await cp(dirname(source), join(folder.path, 'converter'), { recursive: true })
      const file = join(folder.path, 'converter/converter.yaml')
      const command = `[sh, -c, 'test -e "$1/../../licence" || { echo no licence; exit 4; }', sh, '{workspace}']`
      await writeFile(file, `${await readFile(source, 'utf8')}\npreflight: ${command}\n`)
      for (const name of ['with', 'without']) await mkdir(join(converters.folder, name))
      await writeFile(join(converters.folder, 'with/licence'), '')
      const startHost = (name: string) =>
        converters.start('worker', '--converter', file, '--gpus', 'none', '--data', join(converters.folder, name))
      const without = await startHost('without')
      await converters.start('converter', file, '--no-worker', '--every', '1')
      const id = await converters.upload({ 'model.a': 'hello' })
      await until('the conversion waits', async () => (await converters.conversions.count()) === 1, 30_000)
      await until('its host has said why', async () => (await without.log()).includes('preflight failed'), 30_000)
      const { output } = await converters.run('hosts')

      const fit = await startHost('with')
      await converters.untilFormat(id, 'format_b')

      const [conversion] = await converters.conversions.list()
      expect(output).to.match(
        /converter a-to-b not served: Its preflight fails: The preflight exited with code 4; its last line was: no licence\./,
      )
      expect(conversion).to.include({ state: 'converted', hostId: String(fit.facts.hostId), run: 1 })
    } finally {
      await converters.close()
    }
  })
})
