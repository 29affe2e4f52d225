import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { readIdentities } from '../../src/nodes/identity.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'

const UUID = '0b0e4c7a-6a3e-4b0a-9a55-0d5c7d4c1c11'

describe('the identities of a node', () => {
  const folder = useTemporaryFolder()
  const kept = async () => JSON.parse(await readFile(join(folder.path, 'uuids.json'), 'utf8'))

  it('are made once and kept over restarts', async () => {
    const first = await readIdentities({ folder: folder.path, name: 'Lab Trainer', seats: 2 })
    const second = await readIdentities({ folder: folder.path, name: 'Lab Trainer', seats: 2 })

    expect(second).to.deep.equal(first)
    expect(first.map(({ name }) => name)).to.deep.equal(['Lab Trainer', 'Lab Trainer 2'])
    expect(new Set(first.map(({ uuid }) => uuid)).size).to.equal(2)
  })

  it('stand in the file under the keys of the Python library', async () => {
    const [first, second] = await readIdentities({ folder: folder.path, name: 'Lab Trainer', seats: 2 })

    expect(await kept()).to.deep.equal({ lab_trainer: first?.uuid, lab_trainer_2: second?.uuid })
  })

  it('are taken over from a folder of the Python library, whose other nodes stay', async () => {
    await writeFile(join(folder.path, 'uuids.json'), JSON.stringify({ lab_trainer: UUID, other: UUID }))

    const [first] = await readIdentities({ folder: folder.path, name: 'Lab Trainer', seats: 2 })

    expect(first?.uuid).to.equal(UUID)
    expect(await kept())
      .to.include({ lab_trainer: UUID, other: UUID })
      .and.have.property('lab_trainer_2')
  })

  it('stay when seats are added', async () => {
    const [alone] = await readIdentities({ folder: folder.path, name: 'T', seats: 1 })
    const three = await readIdentities({ folder: folder.path, name: 'T', seats: 3 })

    expect(three[0]).to.deep.equal(alone)
    expect(three).to.have.lengthOf(3)
  })

  it('are as given for the first seat, and then not written down', async () => {
    const [first, second] = await readIdentities({ folder: folder.path, name: 'T', seats: 2, uuid: UUID })

    expect(first).to.deep.equal({ name: 'T', uuid: UUID })
    expect(await kept()).to.deep.equal({ t_2: second?.uuid })
  })

  it('need no file when the only one is given', async () => {
    await readIdentities({ folder: folder.path, name: 'T', seats: 1, uuid: UUID })

    expect((await rejection(kept())).message).to.include('ENOENT')
  })

  it('refuse what is no UUID, with the value and the way out', async () => {
    const error = await rejection(readIdentities({ folder: folder.path, name: 'T', seats: 1, uuid: 'lab-1' }))

    expect(error.code).to.equal('LF_INVALID_INPUT')
    expect(error.message).to.include('"lab-1"').and.include('--uuid')
  })

  for (const content of ['{"t": "no uuid"}', '[1]', '{"t": ']) {
    it(`refuse a file that holds ${content}, rather than give the node a new identity`, async () => {
      await writeFile(join(folder.path, 'uuids.json'), content)

      const error = await rejection(readIdentities({ folder: folder.path, name: 'T', seats: 1 }))

      expect(error.code).to.equal('LF_FILE_INVALID')
      expect(await readFile(join(folder.path, 'uuids.json'), 'utf8')).to.equal(content)
    })
  }

  it('are all kept when several nodes start on one folder at the same time', async () => {
    const names = Array.from({ length: 8 }, (_, index) => `node-${index}`)

    const made = await Promise.all(names.map((name) => readIdentities({ folder: folder.path, name, seats: 1 })))

    expect(await kept()).to.deep.equal(Object.fromEntries(made.flat().map(({ name, uuid }) => [name, uuid])))
  })

  it('do not wait for a node that died while it wrote', async () => {
    await writeFile(join(folder.path, 'uuids.json.lock'), '')

    await readIdentities({ folder: folder.path, name: 'T', seats: 1 })

    expect(await kept()).to.have.property('t')
  }).timeout(20_000)
})
