import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { claimOutbox } from '../../../src/detector/outbox/claim-outbox.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'

const ONE = { organization: 'acme', project: 'one' }
const OTHER = { organization: 'acme', project: 'other' }

describe('The outbox of a project', () => {
  const data = useTemporaryFolder()
  const inFolder = (...path: string[]) => join(data.path, ...path)
  const claim = (owner: typeof ONE) => claimOutbox(data.path, owner, { log: silentLogger() })

  /** Claims the outbox and leaves an image in it. */
  async function useFor(owner: typeof ONE, image: string): Promise<void> {
    const folder = await claim(owner)
    await mkdir(join(folder, 'normal'), { recursive: true })
    await writeFile(join(folder, 'normal', image), image)
  }

  it('is put aside for that of another one, and comes back with its own', async () => {
    await useFor(ONE, 'a')
    await useFor(OTHER, 'b')
    expect(await readdir(inFolder('outbox', 'normal'))).to.deep.equal(['b'])

    await claim(ONE)
    expect(await readdir(inFolder('outbox', 'normal'))).to.deep.equal(['a'])
    await claim({ organization: 'ACME', project: 'One' })
    expect(await readdir(inFolder('outbox', 'normal'))).to.deep.equal(['a'])
    await claim(OTHER)

    expect(await readdir(inFolder('outbox', 'normal'))).to.deep.equal(['b'])
    expect(await readdir(data.path)).to.have.members(['outbox', 'outbox.acme+one'])
  })

  it('is found again after a kill between the two renames', async () => {
    await useFor(ONE, 'a')
    await rename(inFolder('outbox'), inFolder('outbox.acme+one'))

    await claim(ONE)

    expect(await readdir(inFolder('outbox', 'normal'))).to.deep.equal(['a'])
  })

  it('is what the Python library left there', async () => {
    await mkdir(inFolder('outbox', 'normal'), { recursive: true })
    await writeFile(inFolder('outbox', 'normal', 'old'), '')

    await claim(ONE)

    expect(await readdir(inFolder('outbox', 'normal'))).to.deep.equal(['old'])
    expect(JSON.parse(await readFile(inFolder('outbox', 'project.json'), 'utf8'))).to.deep.equal(ONE)
  })

  it('is put aside when nobody knows any more whose it is, and overwrites none that was', async () => {
    for (const image of ['a', 'b']) {
      await useFor(ONE, image)
      await writeFile(inFolder('outbox', 'project.json'), '{"organization": 7}')
    }

    await claim(ONE)

    expect(await readdir(data.path)).to.have.members(['outbox', 'outbox.unknown', 'outbox.unknown.2'])
    expect(await readdir(inFolder('outbox'))).to.deep.equal(['project.json'])
  })

  it('has a name of its own, whatever the names of organization and project', async () => {
    const names = ['a', 'a+b', '../a', '..', 'a/b', 'a-b']
    const owners = names.flatMap((organization) => names.map((project) => ({ organization, project })))
    for (const [index, owner] of owners.entries()) await useFor(owner, `${index}`)

    for (const [index, owner] of owners.entries()) {
      const folder = await claim(owner)
      expect(await readdir(join(folder, 'normal'))).to.deep.equal([`${index}`])
    }
    expect(await readdir(data.path)).to.have.lengthOf(owners.length)
  })
})
