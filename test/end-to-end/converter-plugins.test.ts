import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { unzipChecked } from '../../src/base/archives/unzip.js'
import { type ConverterFleet, startConverterFleet } from '../helpers/converter-fleet.js'
import { until } from '../helpers/until.js'

const PLUGIN = fileURLToPath(new URL('../fixtures/converters/plugin.mjs', import.meta.url))
const MOCK = fileURLToPath(new URL('../../src/mock/nodes/mock-converter.js', import.meta.url))
const DEMO = ['zauberzeug', 'demo'] as const

describe('a converter plug-in', function () {
  this.timeout(120_000)
  let fleet: ConverterFleet

  beforeEach(async () => {
    fleet = await startConverterFleet({ USE_BACKDOOR_CONTROLS: '1' })
  })
  afterEach(() => fleet.close())

  it('makes files itself or by a program, into several formats, and fails alone when it throws', async () => {
    const [made, copied, odd] = [
      await fleet.upload({ 'model.a': 'files' }),
      await fleet.upload({ 'model.a': 'program\n' }),
      await fleet.upload({ 'model.a': 'throws' }),
    ]

    await fleet.start('converter', PLUGIN)
    for (const id of [made, copied]) for (const format of ['format_b', 'format_c']) await fleet.untilFormat(id, format)
    await until(
      'the odd one has failed twice',
      async () => (await fleet.conversions.count({ failedOnly: true })) === 2,
      30_000,
    )

    expect(await filesOf(made, 'format_b')).to.have.members(['model.format_b', 'model.json'])
    expect(await filesOf(copied, 'format_c')).to.have.members(['copied', 'model.json'])
    expect(fleet.formats(odd)).to.deep.equal(['format_a'])
    const [failed] = await fleet.conversions.list({ failedOnly: true })
    expect(failed?.failure?.lastLogLines?.join('\n')).to.contain('this model is odd')
  })

  it('that mocks makes one file out of every mocked model, and is told over REST when to look', async () => {
    const { facts } = await fleet.start('converter', MOCK, '--every', '3600', '--port', '0')
    const call = (method: string, path: string, body?: string) =>
      fetch(`http://127.0.0.1:${facts.port}${path}`, { method, ...(body !== undefined && { body }) })
    const isMuted = await until(
      'it has looked and converted',
      async () => {
        const { status } = await call('PUT', '/check_state', 'off')
        return status === 200
      },
      60_000,
    )
    const before = fleet.loop.models(...DEMO).filter(({ formats }) => formats.includes('mocked'))
    expect(isMuted && before.every(({ formats }) => formats.includes('mocked_converted'))).to.equal(true)
    expect(await filesOf(before[0]?.id ?? '', 'mocked_converted')).to.have.members([
      'converted_weightfile.converted',
      'model.json',
    ])

    const id = await fleet.upload({ 'file_1.txt': 'x' }, 'mocked')
    const [first, second] = await Promise.all([call('POST', '/step'), call('POST', '/step')])

    expect([first.status, second.status].sort()).to.deep.equal([200, 409])
    expect(fleet.formats(id)).to.include('mocked_converted')
    expect((await call('PUT', '/check_state', 'perhaps')).status).to.equal(400)
    expect((await call('PUT', '/socketio', 'off')).status).to.equal(200)
    await until('it is gone from the Loop', () => !fleet.loop.nodes().some(({ connected }) => connected))
  })

  it('that is none is refused in a sentence', async () => {
    const file = join(await mkdtemp(join(fleet.folder, 'plugin-')), 'converter.mjs')
    await writeFile(file, 'export const converter = { name: "x", sourceFormat: "a", targetFormats: [], convert() {} }')

    const { exitCode, output } = await fleet.run('converter', file)

    expect(exitCode).to.equal(2)
    expect(output).to.contain('targetFormats').and.contain('LF_BAD_PLUGIN')
  })

  async function filesOf(id: string, format: string): Promise<string[]> {
    const folder = await mkdtemp(join(fleet.folder, 'unpacked-'))
    await writeFile(`${folder}.zip`, await fleet.download(id, format))
    return unzipChecked(`${folder}.zip`, join(folder, 'model'))
  }
})
