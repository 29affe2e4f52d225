import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { type ConverterFleet, converterFile, startConverterFleet } from '../helpers/converter-fleet.js'
import { until } from '../helpers/until.js'

const QUICK = fileURLToPath(new URL('../fixtures/trainers/quick/trainer.yaml', import.meta.url))
const HOUR = '3600'

describe('a converter beside trainings', function () {
  this.timeout(180_000)
  let fleet: ConverterFleet
  afterEach(() => fleet.close())

  it('converts what a training has uploaded immediately, long before its next look at the Loop', async () => {
    fleet = await startConverterFleet()
    await generateProject('few')
    await fleet.start('worker', '--trainer', QUICK, '--gpus', 'none')
    const trainer = await fleet.start('trainer', QUICK)
    await fleet.start('converter', converterFile('after-training'), '--every', HOUR)
    await untilLooked(1)
    await until('the trainer is idle', () => isIdle(String(trainer.facts.uuid)), 30_000)

    const { ack } = await fleet.loop.orderTraining('zauberzeug', 'few', { trainer: String(trainer.facts.uuid) })

    expect(ack).to.include({ success: true })
    await until('the new model has the further format', () => formats().includes('mocked_small'), 120_000)
    const [conversion] = await fleet.conversions.list()
    expect(conversion?.order).to.include({ project: 'few', sourceFormat: 'mocked', targetFormat: 'mocked_small' })
  })

  it('takes no conversion from the moment in which its host drains, and all of them when it is let', async () => {
    fleet = await startConverterFleet()
    const node = await fleet.start('converter', converterFile('a-to-b'), '--every', '1')
    await untilLooked(1)
    const host = String(node.facts.hostId)

    expect((await fleet.run('hosts', 'drain', host)).exitCode).to.equal(0)
    const id = await fleet.upload({ 'model.a': 'hello' })
    await until('the host has read it', async () => (await node.log()).includes('draining started'), 20_000)
    await until('the conversion waits', async () => (await fleet.conversions.count()) === 1, 20_000)
    const [waiting] = await fleet.conversions.list()
    expect(waiting).to.include({ state: 'waiting', run: 0 })

    await fleet.run('hosts', 'undrain', host)
    await fleet.untilFormat(id, 'format_b')
  })

  it('is claimed by another host when its own is frozen, whose program ends when it wakes, and is uploaded once', async () => {
    fleet = await startConverterFleet({ LOOPFLEET_LOCK_MS: '2000' })
    const notes = join(fleet.folder, 'notes.jsonl')
    const file = converterFile('follows-orders')
    const starts = async () => (await readFile(notes, 'utf8').catch(() => '')).split('\n').filter(Boolean).length
    const startHost = (name: string) =>
      fleet.start('worker', '--converter', file, '--gpus', 'none', '--data', join(fleet.folder, name))
    const id = await fleet.upload({ 'model.a': `waits\n${notes}\n` })
    await fleet.start('converter', file, '--no-worker')
    const frozen = await startHost('one')
    await until('its program runs', async () => (await starts()) === 1, 30_000)
    const [first] = await fleet.programs()

    process.kill(frozen.pid, 'SIGSTOP')
    await startHost('two')
    await until('the other host has started one', async () => (await starts()) === 2, 40_000)
    expect(await fleet.programs()).to.include(first)
    process.kill(frozen.pid, 'SIGCONT')
    await until('the older program has ended', async () => !(await fleet.programs()).includes(first ?? 0), 20_000)
    await writeFile(`${notes}.go`, '')
    await fleet.untilFormat(id, 'format_b', 30_000)

    expect(fleet.uploads(id, 'format_b')).to.equal(1)
    expect((await fleet.conversions.list())[0]).to.include({ run: 2 })
    expect(await frozen.log()).to.contain('another run has begun')
  })

  it('shows in status what waits before any host has it', async () => {
    fleet = await startConverterFleet()
    await fleet.upload({ 'model.a': 'hello' })
    await fleet.start('converter', converterFile('a-to-b'), '--no-worker')
    await until('it is planned', async () => (await fleet.conversions.count()) === 1, 30_000)

    const { output } = await fleet.run('status')

    expect(output)
      .to.match(/a-to-b +1\n/)
      .and.to.contain('Conversions: 0 running, 0 failed.')
  })

  it('clears the folders of failed conversions that are too old', async () => {
    fleet = await startConverterFleet({ LOOPFLEET_KEEP_FAILED_DAYS: '0' })
    await fleet.upload({ 'model.a': 'broken' })
    const node = await fleet.start('converter', converterFile('a-to-b'), '--every', HOUR)
    await until('it has failed', async () => (await fleet.conversions.count({ failedOnly: true })) === 1, 60_000)
    await node.end()

    await fleet.start('converter', converterFile('a-to-b'), '--every', HOUR)

    const folder = join(fleet.folder, 'data/converters/a-to-b/zauberzeug/demo/conversions')
    await until('its folder is gone', async () => (await readdir(folder)).length === 0, 30_000)
    expect(await fleet.conversions.count({ failedOnly: true })).to.equal(1)
  })

  async function generateProject(name: string): Promise<void> {
    const response = await fetch(`${fleet.loop.url}/api/zauberzeug/projects/generator`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ project_name: name, complete: 6, inbox: 2, box_categories: 2, box_annotations: 1 }),
    })
    expect(response.status).to.equal(200)
  }

  async function untilLooked(count: number): Promise<void> {
    const scans = async () =>
      (await fleet.queues.names()).find((name) => name.startsWith('scans.')) ?? 'scans.none-so-far'
    await until(
      `${count} looks at the Loop`,
      async () => ((await fleet.queues.counts(await scans())).completed ?? 0) >= count,
      30_000,
    )
  }

  function isIdle(uuid: string): boolean {
    return fleet.loop.nodes().some(({ id, connected, state }) => id === uuid && connected && state === 'idle')
  }

  function formats(): readonly string[] {
    return fleet.loop.models('zauberzeug', 'few').flatMap((model) => model.formats)
  }
})
