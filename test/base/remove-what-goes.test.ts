import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { namedRemainders, removeWhatGoes } from '../../src/base/remove-what-goes.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { makeUndeletable } from '../helpers/undeletable.js'

describe('removing what goes', () => {
  const folder = useTemporaryFolder()

  it('removes a whole tree and answers that nothing is left', async () => {
    await mkdir(join(folder.path, 'a/b/c'), { recursive: true })
    await writeFile(join(folder.path, 'a/b/file'), 'x')

    expect(await removeWhatGoes(join(folder.path, 'a'))).to.deep.equal([])

    expect(await readdir(folder.path)).to.deep.equal([])
    expect(await removeWhatGoes(join(folder.path, 'never-there'))).to.deep.equal([])
  })

  it('removes all but the file that cannot be removed, and names that one', async () => {
    await mkdir(join(folder.path, 'a/docker'), { recursive: true })
    await writeFile(join(folder.path, 'a/free'), 'x')
    const stuck = await makeUndeletable(join(folder.path, 'a/docker'))

    try {
      const left = await removeWhatGoes(join(folder.path, 'a'))

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

    expect(await removeWhatGoes(join(folder.path, 'a'))).to.deep.equal([])
  })

  it('counts what it does not name', () => {
    const left = Array.from({ length: 7 }, (_, index) => ({ path: `file${index}`, code: 'EACCES' }))

    expect(namedRemainders(left, 2)).to.equal('file0 (EACCES), file1 (EACCES) and 5 more')
  })
})
