import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { create, Header } from 'tar'
import { packTar, unpackTar } from '../../../src/base/tar/tar.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'

describe('a tar of checkpoints', () => {
  const folder = useTemporaryFolder()
  const tarPath = (): string => join(folder.path, 'shared', 'checkpoint.tar')
  const inside = (name: string): string => join(folder.path, 'unpacked', name)

  it('brings files and folders to another place, where other files stay', async () => {
    const workspace = join(folder.path, 'workspace')
    await mkdir(join(workspace, 'checkpoints', 'deep'), { recursive: true })
    await writeFile(join(workspace, 'checkpoints', 'deep', 'last.pt'), Buffer.alloc(300_000, 5))
    await writeFile(join(workspace, '@results.csv'), 'epoch 1')
    await mkdir(inside('checkpoints'), { recursive: true })
    await writeFile(inside('checkpoints/older.pt'), 'older')
    await writeFile(inside('@results.csv'), 'old')

    await packTar(workspace, ['checkpoints', '@results.csv'], tarPath())
    const files = await unpackTar(tarPath(), join(folder.path, 'unpacked'))

    expect(files).to.have.members(['checkpoints/deep/last.pt', '@results.csv'])
    expect((await readFile(inside('checkpoints/deep/last.pt'))).equals(Buffer.alloc(300_000, 5))).to.equal(true)
    expect(await readFile(inside('@results.csv'), 'utf8')).to.equal('epoch 1')
    expect(await readdir(inside('checkpoints'))).to.have.members(['deep', 'older.pt'])
    expect(await readdir(join(folder.path, 'unpacked'))).to.have.members(['checkpoints', '@results.csv'])
  })

  it('is not there when packing failed', async () => {
    expect(await rejection(packTar(folder.path, ['missing'], tarPath()))).to.be.an('error')

    expect(await readdir(join(folder.path, 'shared'))).to.deep.equal([])
  })

  for (const [what, header] of [
    ['a name that climbs out', { path: '../evil', type: 'File' }],
    ['a name that climbs out deeper inside', { path: 'a/../../evil', type: 'File' }],
    ['an absolute name', { path: '/tmp/loopfleet-evil', type: 'File' }],
    ['a symbolic link', { path: 'link', type: 'SymbolicLink', linkpath: '/etc' }],
    ['a hard link', { path: 'link', type: 'Link', linkpath: '/etc/passwd' }],
    ['a device', { path: 'device', type: 'CharacterDevice' }],
    ['a named pipe', { path: 'pipe', type: 'FIFO' }],
  ] as const) {
    it(`with ${what} is refused before anything is written`, async () => {
      await mkdir(join(folder.path, 'shared'))
      await writeFile(tarPath(), tarOf([{ path: 'fine', type: 'File' }, header]))

      const error = await rejection(unpackTar(tarPath(), join(folder.path, 'unpacked')))

      expect(error).to.include({ code: 'LF_ARCHIVE_REFUSED' })
      expect(await readdir(folder.path)).to.deep.equal(['shared'])
    })
  }

  it('with the same name twice is refused', async () => {
    await mkdir(join(folder.path, 'shared'))
    await writeFile(
      tarPath(),
      tarOf([
        { path: 'a', type: 'File' },
        { path: './a', type: 'File' },
      ]),
    )

    expect((await rejection(unpackTar(tarPath(), join(folder.path, 'unpacked')))).message).to.include('twice')
  })

  it('with a link packed by ourselves is refused when it is unpacked', async () => {
    await symlink('/etc', join(folder.path, 'link'))
    await create({ cwd: folder.path, file: join(folder.path, 'x.tar') }, ['link'])

    expect(await rejection(unpackTar(join(folder.path, 'x.tar'), inside('')))).to.include({
      code: 'LF_ARCHIVE_REFUSED',
    })
  })

  it('that is cut or no tar at all is refused', async () => {
    await writeFile(join(folder.path, 'last.pt'), Buffer.alloc(100_000, 5))
    await packTar(folder.path, ['last.pt'], tarPath())
    const whole = await readFile(tarPath())

    for (const damaged of [whole.subarray(0, 50_000), Buffer.from('<html>'.repeat(1000))]) {
      await writeFile(tarPath(), damaged)
      const error = await rejection(unpackTar(tarPath(), join(folder.path, 'unpacked')))
      expect(error).to.include({ code: 'LF_ARCHIVE_REFUSED' })
    }
  })

  it('that unpacks to too much or too many is refused', async () => {
    await writeFile(join(folder.path, 'last.pt'), Buffer.alloc(100_000, 5))
    await packTar(folder.path, ['last.pt'], tarPath())

    for (const limits of [{ maxTotalBytes: 99_999 }, { maxEntries: 0 }]) {
      expect(await rejection(unpackTar(tarPath(), inside(''), limits))).to.include({ code: 'LF_ARCHIVE_REFUSED' })
    }
    expect((await stat(tarPath())).size).to.be.above(0)
  })
})

type HeaderFields = { readonly path: string; readonly type: Header['type']; readonly linkpath?: string }

function tarOf(entries: readonly HeaderFields[]): Buffer {
  const headers = entries.map((fields) => {
    const block = Buffer.alloc(512)
    new Header({ mode: 0o644, uid: 0, gid: 0, size: 0, mtime: new Date(0), ...fields }).encode(block)
    return block
  })
  return Buffer.concat([...headers, Buffer.alloc(1024)])
}
