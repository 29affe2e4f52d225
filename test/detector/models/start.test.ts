import { mkdir, readdir, readlink, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { untilServing, useKeepers } from './keeper-fixture.js'
import { modelJsonOf } from './model-loop.js'
import { target } from './pool-double.js'

describe('A detector starts', () => {
  const fixture = useKeepers()
  const inFolder = (...path: string[]) => join(fixture.folder, ...path)

  /** Models served one after the other by a detector that has ended. */
  async function serveAll(...versions: string[]): Promise<void> {
    const keeper = await fixture.start()
    for (const version of versions) {
      keeper.setTarget(await fixture.loop.offer(version))
      await untilServing(keeper, version)
    }
    await keeper.stop()
  }

  /** A model as the Python library leaves it. */
  async function putOldModel(version: string, files: Record<string, string> = {}): Promise<void> {
    await mkdir(inFolder('models', version), { recursive: true })
    const all = { 'model.json': modelJsonOf(target(version)), 'model.txt': 'old weights', ...files }
    for (const [name, text] of Object.entries(all)) await writeFile(inFolder('models', version, name), text)
  }

  it('with the last model while the Loop is away', async () => {
    await serveAll('1.0', '1.1')
    await fixture.loop.http.close()

    const keeper = await fixture.start()

    expect(keeper.loaded()).to.include({ version: '1.1', id: 'id-of-1.1', folder: inFolder('models', '1.1') })
    expect(keeper.state().errors).to.deep.equal({})
  })

  it('with the one before when the last one is damaged, and says so', async () => {
    await serveAll('1.0', '1.2', '1.1')
    await truncate(inFolder('models', '1.1', 'model.txt'), 3)

    const keeper = await fixture.start()

    expect(keeper.loaded()?.version).to.equal('1.2')
    expect(keeper.state().errors.load_model).to.match(/models\/1\.1: .*model\.txt.* version 1\.2 serves instead\.$/)
    expect(await readlink(inFolder('current_model'))).to.equal('models/1.2')
  })

  it('with the one before when the last one does not load any more, and mends it from the Loop', async () => {
    await serveAll('1.0', '1.1')
    const text = 'weights of 1.1'
    await writeFile(inFolder('models', '1.1', 'model.txt'), 'does not load'.padEnd(text.length).slice(0, text.length))

    const keeper = await fixture.start()
    expect(keeper.loaded()?.version).to.equal('1.0')
    expect(keeper.state().errors.load_model).to.contain('the runtime does not like it')
    keeper.setTarget(target('1.1'))

    await untilServing(keeper, '1.1')
    expect(fixture.loop.downloads('1.1')).to.equal(2)
    expect(keeper.state().errors).to.deep.equal({})
  })

  it('without a model when none on disk is good, and takes the next target', async () => {
    await serveAll('1.0')
    await rm(inFolder('models', '1.0', 'model.json'))

    const keeper = await fixture.start()
    expect(keeper.loaded()).to.equal(null)
    expect(keeper.state().errors.load_model).to.contain('there is no other')
    keeper.setTarget(target('1.0'))

    await untilServing(keeper, '1.0')
  })

  it('without what a killed process left half-way', async () => {
    await serveAll('1.0')
    await mkdir(inFolder('models', '.incoming-abc', 'model'), { recursive: true })
    await writeFile(inFolder('models', '.incoming-abc', 'model', 'big'), 'half')
    await mkdir(inFolder('models', '.outgoing-abc', 'model'), { recursive: true })
    await symlink('models/2.0', inFolder('.current_model.1234.tmp'))

    const keeper = await fixture.start()

    expect(keeper.loaded()?.version).to.equal('1.0')
    expect(await readdir(inFolder('models'))).to.have.members(['1.0', '.loading.json', '.served.json'])
    expect(await readdir(fixture.folder)).to.have.members(['current_model', 'models'])
  })

  it('with the last model although the list of served models is damaged', async () => {
    await serveAll('1.0', '1.1')
    await writeFile(inFolder('models', '.served.json'), '{"half')

    const keeper = await fixture.start()

    expect(keeper.loaded()?.version).to.equal('1.1')
  })

  it('and keeps a model away during whose loading it ended', async () => {
    await serveAll('1.0')
    await writeFile(inFolder('models', '.loading.json'), JSON.stringify({ loading: target('1.1'), deaths: [] }))
    await fixture.loop.offer('1.1')

    const keeper = await fixture.start()
    keeper.setTarget(target('1.1'))

    expect(keeper.state().errors.update_model).to.contain('the detector ended once while it loaded it')
    expect(keeper.state().updating).to.equal(null)
    expect(keeper.loaded()?.version).to.equal('1.0')
  })

  it('with another model when it has ended twice while it loaded the last one', async () => {
    await serveAll('1.0', '1.1')
    const deaths = [{ target: target('1.1'), count: 1 }]
    await writeFile(inFolder('models', '.loading.json'), JSON.stringify({ loading: target('1.1'), deaths }))

    const keeper = await fixture.start()

    expect(keeper.loaded()?.version).to.equal('1.0')
    expect(keeper.state().errors.load_model).to.match(
      /models\/1\.1: the detector ended .*; version 1\.0 serves instead/,
    )
  })

  it('with the last model although the note of what is being loaded is damaged', async () => {
    await serveAll('1.0')
    await writeFile(inFolder('models', '.loading.json'), '{"loading": {"id": 7}}')

    expect((await fixture.start()).loaded()?.version).to.equal('1.0')
  })

  for (const { dialect, link } of [
    { dialect: '0.8', link: 'model' },
    { dialect: 'current', link: 'current_model' },
  ]) {
    it(`with the model that the Python library ${dialect} left`, async () => {
      await putOldModel('1.1')
      await putOldModel('1.2')
      await symlink('models/1.1', inFolder(link))

      const keeper = await fixture.start()

      expect(keeper.loaded()).to.include({ version: '1.1', id: 'id-of-1.1' })
      expect(keeper.versionControl().localVersions).to.deep.equal(['1.1', '1.2'])
      expect(await readlink(inFolder('current_model'))).to.equal('models/1.1')
      expect(await readdir(fixture.folder)).to.have.members(['current_model', 'models'])
    })
  }

  for (const { kind, put } of [
    { kind: 'its own', put: () => serveAll('1.0') },
    {
      kind: 'the Python library',
      put: async () => {
        await putOldModel('1.0')
        await symlink('models/1.0', inFolder('current_model'))
      },
    },
  ]) {
    it(`without the model of another project that ${kind} left there, which it names and keeps`, async () => {
      await put()

      const keeper = await fixture.start({ owner: { organization: 'acme', project: 'other' }, keepVersions: 1 })

      expect(keeper.loaded()).to.equal(null)
      expect(keeper.state().errors.load_model).to.contain('models/1.0: it is of the project "acme/demo"')
      expect(keeper.versionControl().localVersions).to.deep.equal([])
      const own = target('1.1')
      const modelJson = modelJsonOf(own, { project: 'other' })
      await fixture.loop.offer('1.1', { 'model.json': modelJson, 'model.txt': 'own' })
      keeper.setTarget(own)
      await untilServing(keeper, '1.1')
      expect(await readdir(inFolder('models'))).to.include('1.0')
    })
  }

  it('with a model that it downloaded from its project, whatever the model.json calls that', async () => {
    const owner = { organization: 'acme', project: 'other' }
    const before = await fixture.start({ owner })
    before.setTarget(await fixture.loop.offer('1.0')) // of acme/demo, as its model.json says
    await untilServing(before, '1.0')
    await before.stop()

    expect((await fixture.start({ owner })).loaded()?.version).to.equal('1.0')
  })

  it('without a half installed model of the Python library, whose name the whole one takes', async () => {
    await putOldModel('1.1')
    await rm(inFolder('models', '1.1', 'model.json'))
    await symlink('models/1.1', inFolder('current_model'))

    const keeper = await fixture.start()
    expect(keeper.loaded()).to.equal(null)
    expect(keeper.state().errors.load_model).to.contain('no model.json')
    keeper.setTarget(await fixture.loop.offer('1.1'))

    await untilServing(keeper, '1.1')
    expect(keeper.loaded()?.folder).to.match(/models\/1\.1(\+2)?$/)
  })

  describe('without', () => {
    const bad: Record<string, () => Promise<void>> = {
      'a model whose folder is a link': async () => {
        await putOldModel('1.1')
        await rename(inFolder('models', '1.1'), inFolder('elsewhere'))
        await symlink(inFolder('elsewhere'), inFolder('models', '1.1'))
        await symlink('models/1.1', inFolder('current_model'))
      },
      'a model with a link that leads out of its folder': async () => {
        await putOldModel('1.1')
        await symlink('/etc/hostname', inFolder('models', '1.1', 'labels.txt'))
        await symlink('models/1.1', inFolder('current_model'))
      },
      'a model whose model.json is a device': async () => {
        await putOldModel('1.1')
        await rm(inFolder('models', '1.1', 'model.json'))
        await symlink('/dev/zero', inFolder('models', '1.1', 'model.json'))
        await symlink('models/1.1', inFolder('current_model'))
      },
      'a model with a huge model.json': async () => {
        await putOldModel('1.1', { 'model.json': modelJsonOf(target('1.1'), { a: 'x'.repeat(9_000_000) }) })
        await symlink('models/1.1', inFolder('current_model'))
      },
      'a model of another format': async () => {
        await putOldModel('1.1', { 'model.json': modelJsonOf(target('1.1'), { format: 'other' }) })
        await symlink('models/1.1', inFolder('current_model'))
      },
      'a model whose version leads elsewhere': async () => {
        await putOldModel('1.1', { 'model.json': modelJsonOf(target('../../1.1', 'id-of-1.1')) })
        await symlink('models/1.1', inFolder('current_model'))
      },
    }
    for (const [title, arrange] of Object.entries(bad)) {
      it(`${title}`, async () => {
        await arrange()

        const keeper = await fixture.start()

        expect(keeper.loaded()).to.equal(null)
        expect(keeper.state().errors.load_model).to.be.a('string')
        expect(keeper.versionControl().localVersions).to.deep.equal([])
      })
    }

    it('a model that a link out of the data folder leads to', async () => {
      await putOldModel('1.1')
      await rename(inFolder('models', '1.1'), inFolder('elsewhere'))
      await symlink('elsewhere', inFolder('current_model'))

      const keeper = await fixture.start()

      expect(keeper.loaded()).to.equal(null)
    })
  })
})
