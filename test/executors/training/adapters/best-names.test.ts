import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { noMatchReason } from '../../../../src/executors/training/adapters/best-names.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'

describe('the reason why a program has no model', () => {
  const folder = useTemporaryFolder()
  const reason = (files: string) => noMatchReason({ best: { files } }, folder.path)
  const write = (name: string) => writeFile(join(folder.path, name), 'x')

  it('names what lies where no file matches best.files, at most five', async () => {
    await mkdir(join(folder.path, 'run'))
    for (const name of ['last.pt', 'log.txt', '.hidden']) await write(join('run', name))

    expect(await reason('run/best-*.pt')).to.equal(
      'no file matched best.files run/best-*.pt in run, where there is last.pt, log.txt',
    )

    for (const name of ['1', '2', '3', '4', '5']) await write(join('run', name))
    expect(await reason('run/best-*.pt')).to.match(/where there is 1, 2, 3, 4, 5 and 2 more$/)
  })

  it('says that the folder is empty, or does not exist, also when a file has its name', async () => {
    expect(await reason('best.pt')).to.equal('no file matched best.files best.pt in the workspace, which is empty')
    expect(await reason('run/best.pt')).to.equal('no file matched best.files run/best.pt in run, which does not exist')
    await write('run')
    expect(await reason('run/best.pt')).to.match(/in run, which does not exist$/)
  })

  it('is another one when a file matches, or the program reports its models itself', async () => {
    await write('best.pt')

    expect(await reason('best.pt')).to.equal(undefined)
    expect(await noMatchReason({ best: 'events' }, folder.path)).to.equal(undefined)
  })
})
