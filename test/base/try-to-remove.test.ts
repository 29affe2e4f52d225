import { chmod, chown, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { expect } from 'chai'
import { namedRemainders, tryToRemove } from '../../src/base/try-to-remove.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { makeUndeletable } from '../helpers/undeletable.js'

const NOBODY = 65534

describe('removing what goes', () => {
  const folder = useTemporaryFolder()

  it('removes a whole tree and answers that nothing is left', async () => {
    await mkdir(join(folder.path, 'a/b/c'), { recursive: true })
    await writeFile(join(folder.path, 'a/b/file'), 'x')

    expect(await tryToRemove(join(folder.path, 'a'))).to.deep.equal([])

    expect(await readdir(folder.path)).to.deep.equal([])
    expect(await tryToRemove(join(folder.path, 'never-there'))).to.deep.equal([])
  })

  it('removes all but the file that cannot be removed, and names that one', async () => {
    await mkdir(join(folder.path, 'a/docker'), { recursive: true })
    await writeFile(join(folder.path, 'a/free'), 'x')
    const stuck = await makeUndeletable(join(folder.path, 'a/docker'))

    try {
      const left = await tryToRemove(join(folder.path, 'a'))

      expect(left).to.have.lengthOf(1)
      expect(left[0]?.path).to.contain(join(folder.path, 'a/docker/ddd'))
      expect(namedRemainders(left)).to.match(/^\S{200} \(ENAMETOOLONG\)$/)
      expect(await readdir(join(folder.path, 'a'))).to.deep.equal(['docker'])
    } finally {
      await stuck.release()
    }
  })

  it('removes a folder that its program has made read-only', async () => {
    await mkdir(join(folder.path, 'a/frozen'), { recursive: true })
    await writeFile(join(folder.path, 'a/frozen/file'), 'x')
    await chmod(join(folder.path, 'a/frozen'), 0o500)

    expect(await tryToRemove(join(folder.path, 'a'))).to.deep.equal([])
  })

  it('names the files that root has made for a program, as containers do', async function () {
    if (process.getuid?.() !== 0) return this.skip() // only root can make files of two accounts
    const tree = join(folder.path, 'a')
    await mkdir(join(tree, 'by-root/deep'), { recursive: true })
    await mkdir(join(tree, 'own'))
    for (const file of ['by-root/cache', 'by-root/deep/cache', 'own/by-root', 'own/file']) {
      await writeFile(join(tree, file), 'x')
    }
    for (const path of [folder.path, tree, join(tree, 'own'), join(tree, 'own/file')]) await chown(path, NOBODY, NOBODY)

    process.setegid?.(NOBODY)
    process.seteuid?.(NOBODY)
    const left = await tryToRemove(tree).finally(() => {
      process.seteuid?.(0)
      process.setegid?.(0)
    })

    const named = left.map(({ path, code }) => `${relative(tree, path)} ${code}`)
    expect(named.toSorted()).to.deep.equal(['by-root/cache EACCES', 'by-root/deep/cache EACCES'])
    expect(await readdir(tree)).to.deep.equal(['by-root']) // who owns a folder may delete what others have in it
  })

  it('counts what it does not name', () => {
    const left = Array.from({ length: 7 }, (_, index) => ({ path: `file${index}`, code: 'EACCES' }))

    expect(namedRemainders(left, 2)).to.equal('file0 (EACCES), file1 (EACCES) and 5 more')
  })
})
