import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { unzipChecked } from '../../src/base/archives/unzip.js'
import type { ConversionRecord } from '../../src/queue/conversions/conversion-record.js'
import { type ConverterFleet, converterFile, startConverterFleet } from '../helpers/converter-fleet.js'
import { until } from '../helpers/until.js'

const DEMO = ['zauberzeug', 'demo'] as const
const FOUR_GPUS = fileURLToPath(new URL('../fixtures/nvidia-smi/cases', import.meta.url))

describe('a converter', function () {
  this.timeout(120_000)
  let fleet: ConverterFleet
  let notes: string

  beforeEach(async () => {
    fleet = await startConverterFleet()
    notes = join(fleet.folder, 'notes.jsonl')
  })
  afterEach(() => fleet.close())

  it('adds its format to a model, which keeps its id, version and comment, and the next one of a chain takes that immediately', async () => {
    const id = await fleet.upload({ 'model.a': 'hello' })
    const [before] = fleet.loop.models(...DEMO).filter((model) => model.id === id)
    await fleet.start('converter', converterFile('b-to-c'), '--every', '3600')

    await fleet.start('converter', converterFile('a-to-b'), '--every', '3600')
    await fleet.untilFormat(id, 'format_c')
    await fleet.untilFormat(id, 'format_d')

    const [after] = fleet.loop.models(...DEMO).filter((model) => model.id === id)
    const formats = ['format_a', 'format_b', 'format_c', 'format_d']
    expect({ ...after, formats: [...(after?.formats ?? [])].sort() }).to.deep.equal({ ...before, formats })
    expect((await fleet.download(id, 'format_b')).toString('latin1')).to.contain('HELLO')
    expect(fleet.uploads(id, 'format_b')).to.equal(1)
  })

  it('tells its program where the model is from, its categories, its resolution and its model.json', async () => {
    const modelJson = { categories: [{ id: 'c1', name: 'of the model' }], resolution: 640, own: 'fact' }
    await fleet.close()
    fleet = await startConverterFleet({ PATH: `${FOUR_GPUS}${delimiter}${process.env.PATH}`, NVIDIA_SMI_CASE: 'four' })
    notes = join(fleet.folder, 'notes.jsonl')
    const id = await fleet.upload({ ...says('converts'), 'model.json': JSON.stringify(modelJson) })

    await fleet.start('converter', converterFile('follows-orders'), '--gpus', '3')
    await fleet.untilFormat(id, 'format_b')

    const [start] = await starts()
    expect(start?.arguments).to.deep.equal(['--size', '640'])
    expect(start?.gpus).to.equal('3')
    expect(start?.told).to.deep.include({ source_format: 'format_a', target_format: 'format_b' })
    const { model } = Object(start?.told)
    expect(model).to.include({ organization: 'zauberzeug', project: 'demo', id, resolution: 640 })
    expect(model.host).to.equal(`${fleet.loop.url}/api`)
    expect(model.categories.map(({ name }: { name: string }) => name)).to.include('purple point')
    expect(model.model_json).to.include({ own: 'fact', format: 'format_a' })
    const folder = join(fleet.folder, 'unpacked')
    await writeFile(`${folder}.zip`, await fleet.download(id, 'format_b'))
    expect(await unzipChecked(`${folder}.zip`, folder)).to.have.members(['model.b', 'second.b', 'model.json'])
    const made = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8'))
    expect(made).to.include({ format: 'format_b', resolution: 640, own: 'fact' })
    expect(made.categories[0].name).to.equal('of the model')
  })

  it('that needs a GPU waits for a host that has one, and never takes the CPU', async () => {
    await fleet.close()
    fleet = await startConverterFleet({ PATH: `${FOUR_GPUS}${delimiter}${process.env.PATH}`, NVIDIA_SMI_CASE: 'one' })
    notes = join(fleet.folder, 'notes.jsonl')
    const file = join(fleet.folder, 'own', 'converter.yaml')
    await mkdir(dirname(file))
    await copyFile(join(dirname(converterFile('follows-orders')), 'convert.py'), join(dirname(file), 'convert.py'))
    const text = await readFile(converterFile('follows-orders'), 'utf8')
    await writeFile(file, text.replace('gpus: auto', 'gpus: 1'))
    const id = await fleet.upload(says('converts'))
    const withoutGpus = await fleet.start('converter', file, '--gpus', 'none')
    await until('it is planned', async () => (await fleet.conversions.list()).length === 1)
    expect(await withoutGpus.log()).to.include('A GPU is needed, but this host offers 0')

    await fleet.start('worker', '--converter', file)
    await fleet.untilFormat(id, 'format_b')

    expect((await starts()).map(({ gpus }) => gpus)).to.deep.equal(['0'])
  })

  it('leaves a model alone after three tries that cannot be converted, tells why, and tries it again when the converter has changed', async () => {
    const id = await fleet.upload(says('fails'))
    const file = join(fleet.folder, 'own', 'converter.yaml')
    await mkdir(dirname(file))
    for (const name of ['converter.yaml', 'convert.py'])
      await copyFile(join(dirname(converterFile('follows-orders')), name), join(dirname(file), name))
    const converter = await fleet.start('converter', file, '--every', '1')

    const failed = await untilState('failed')
    await untilScans(4)
    const shown = await fleet.run('conversions', 'show', failed.id.slice(0, 8))
    const log = await fleet.run('conversions', 'logs', failed.id)

    expect(await starts()).to.have.lengthOf(3)
    expect(shown.output).to.contain('the weights are of an unknown kind').and.contain('exit code 1')
    expect(shown.output).to.contain('looking at the weights')
    expect(log.output).to.contain('looking at the weights').and.contain('failed:')
    expect(await fleet.conversions.count({ failedOnly: true })).to.equal(1)
    expect(await fleet.conversions.countOpen()).to.deep.equal({ waiting: { 'follows-orders': 0 }, running: 0 })

    await converter.end()
    const script = join(dirname(file), 'convert.py')
    await writeFile(script, (await readFile(script, 'utf8')).replace("order == 'fails'", 'False'))
    await fleet.start('converter', file, '--every', '1')
    await untilState('converted')
    expect(fleet.formats(id)).to.include('format_b')
  })

  it('is told by a person to try a failed model again, and says what it made instead of what it should', async () => {
    await fleet.upload(says('makes nothing'))
    await fleet.start('converter', converterFile('follows-orders'))
    const failed = await untilState('failed')
    expect(failed.failure?.message).to.contain('made no file "model.b"')

    const retried = await fleet.run('conversions', 'retry', failed.id)
    const again = await until('it has failed again', async () => {
      const record = await fleet.conversions.load(failed.id)
      return record?.state === 'failed' && record.run === 3 ? record : undefined // a retry counts as a run, too
    })
    const refused = await fleet.run('conversions', 'retry', 'c0ffee')

    expect(retried).to.include({ exitCode: 0 })
    expect(again.failure?.code).to.equal('LF_MODEL_NOT_CONVERTIBLE')
    expect(refused.exitCode).to.equal(2)
    expect(refused.output).to.contain('There is no conversion "c0ffee"')
    expect(await starts()).to.have.lengthOf(2)
  })

  it('ends a program that takes too long, with its children', async () => {
    await fleet.upload(says('hangs'))
    await fleet.start('converter', await withLittleTime())

    const failed = await untilState('failed')

    expect(failed.failure).to.include({ code: 'LF_COMMAND_TIMED_OUT' })
    expect(await fleet.programs()).to.deep.equal([])
  })

  it('does not blame a model for a Loop that fails or does not let it in', async () => {
    const path = '/zauberzeug/projects/demo/models'
    const away = fleet.loop.addFault({
      match: { method: 'GET', path: `^/api${path}/.*/file$` },
      kind: 'status',
      status: 500,
    })
    const closed = fleet.loop.addFault({ match: { method: 'PUT', path }, kind: 'status', status: 403 })
    const id = await fleet.upload(says('converts'))
    await fleet.start('converter', converterFile('follows-orders'))

    await until('it waits', async () => (await only())?.failure?.message.includes('500'), 30_000)
    fleet.loop.clearFaults(away.id)
    await until('it waits again', async () => (await only())?.failure?.message.includes('403'), 30_000)
    expect(await only()).to.include({ state: 'waiting' })
    fleet.loop.clearFaults(closed.id)
    await untilState('converted')

    expect(fleet.formats(id)).to.include('format_b')
    expect(await only()).to.deep.include({ failure: null })
  })

  it('is taken up by the next worker when its own is killed, and uploads once', async () => {
    const id = await fleet.upload(says('waits'))
    await fleet.start('converter', converterFile('follows-orders'), '--no-worker')
    const worker = await fleet.start('worker', '--converter', converterFile('follows-orders'), '--gpus', 'none')
    await until('the program runs', async () => (await starts()).length === 1, 30_000)

    await worker.kill('SIGKILL')
    await fleet.start('worker', '--converter', converterFile('follows-orders'), '--gpus', 'none')
    await until('the program runs again', async () => (await starts()).length === 2, 30_000)
    await until('the first one is gone', async () => (await programsOf('convert.py')) <= 2)
    await writeFile(`${notes}.go`, '')
    const { run } = await untilState('converted')

    expect(run).to.equal(2)
    expect(fleet.uploads(id, 'format_b')).to.equal(1)
  })

  it('does not upload again what the Loop has, when its worker dies before it hears so', async () => {
    const id = await fleet.upload(says('converts'))
    const put = { method: 'PUT', path: '/zauberzeug/projects/demo/models' }
    fleet.loop.addFault({ match: put, kind: 'lost-answer', times: 1 })
    await fleet.start('converter', converterFile('follows-orders'))

    await until('it is done', async () => (await only())?.state === 'converted', 60_000)

    expect(fleet.uploads(id, 'format_b')).to.equal(1)
    expect(await only()).to.include({ run: 2 })
  })

  it('gives its conversion back when its worker is asked to end', async () => {
    const id = await fleet.upload(says('waits'))
    await fleet.start('converter', converterFile('follows-orders'), '--no-worker')
    const worker = await fleet.start('worker', '--converter', converterFile('follows-orders'), '--gpus', 'none')
    await until('the program runs', async () => (await starts()).length === 1, 30_000)

    const { exitCode, seconds } = await worker.end()
    expect({ exitCode, isQuick: seconds < 15 }).to.deep.equal({ exitCode: 0, isQuick: true })
    expect(await only()).to.include({ state: 'waiting' })
    expect((await fleet.conversions.records.list()).records[0]).to.include({ use: 'excused', fruitlessRuns: 0 })
    await writeFile(`${notes}.go`, '')
    await fleet.start('worker', '--converter', converterFile('follows-orders'), '--gpus', 'none')
    await fleet.untilFormat(id, 'format_b')
  })

  it('fetches the next models while one is converted, once its programs have shown to be brief', async () => {
    await fleet.upload(says('converts'))
    const file = converterFile('follows-orders')
    await fleet.start('converter', file, '--places', '1', '--gpus', 'none', '--every', '1')
    await untilState('converted')

    const ids = await Promise.all([1, 2, 3, 4].map(() => fleet.upload(says('waits'))))
    const underWay = async () => (await fleet.conversions.list()).filter(({ state }) => state === 'running')
    const hasModel = async (id: string) => (await fleet.conversions.readLog(id)).some(({ text }) => /files/.test(text))
    await until(
      'three have their model',
      async () => {
        const has = await Promise.all((await underWay()).map((record) => hasModel(record.id)))
        return has.length === 3 && has.every(Boolean)
      },
      60_000,
    )
    await until('the next program runs', async () => (await starts()).length === 2, 30_000)
    expect(await programsOf('convert.py')).to.equal(1)

    await writeFile(`${notes}.go`, '')
    for (const id of ids) await fleet.untilFormat(id, 'format_b')
    expect(await starts()).to.have.lengthOf(5)
  })

  it('forgets a conversion whose model is gone from the Loop', async () => {
    await fleet.upload(says('converts'))
    const node = await fleet.start('converter', converterFile('follows-orders'), '--no-worker')
    await untilState('waiting')
    await node.end()
    await fetch(`${fleet.loop.url}/api/zauberzeug/projects/demo`, { method: 'DELETE' })

    await fleet.start('worker', '--converter', converterFile('follows-orders'), '--gpus', 'none')

    await until('nothing is left', async () => (await fleet.conversions.count()) === 0, 30_000)
    expect(await starts()).to.deep.equal([])
  })

  /** A copy of the converter whose programs must be quick. */
  async function withLittleTime(): Promise<string> {
    const file = join(fleet.folder, 'own', 'converter.yaml')
    const original = converterFile('follows-orders')
    await mkdir(dirname(file))
    await copyFile(join(dirname(original), 'convert.py'), join(dirname(file), 'convert.py'))
    await writeFile(file, `${await readFile(original, 'utf8')}timeout_seconds: 4\n`)
    return file
  }

  /** A model that tells the program what to do. */
  function says(order: string): Record<string, string> {
    return { 'model.a': `${order}\n${notes}` }
  }

  async function only(): Promise<ConversionRecord | undefined> {
    return (await fleet.conversions.list())[0]
  }

  async function untilState(state: ConversionRecord['state']): Promise<ConversionRecord> {
    return until(
      `a conversion is ${state}`,
      async () => {
        const record = await only()
        return record?.state === state ? record : undefined
      },
      60_000,
    )
  }

  async function untilScans(count: number): Promise<void> {
    const scans = (await fleet.queues.names()).find((name) => name.startsWith('scans.')) ?? ''
    await until(
      `${count} looks at the Loop`,
      async () => ((await fleet.queues.counts(scans)).completed ?? 0) >= count,
      30_000,
    )
  }

  async function programsOf(script: string): Promise<number> {
    const commands = await Promise.all(
      (await fleet.programs()).map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')),
    )
    return commands.filter((command) => command.includes(script)).length
  }

  async function starts(): Promise<{ arguments: string[]; gpus: string; told: unknown }[]> {
    const text = await readFile(notes, 'utf8').catch(() => '')
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  }
})
